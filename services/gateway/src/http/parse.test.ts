import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { parseBody, parseParameters } from './parse.js';

const query = z.object({
  afterStep: z.int().default(-1),
  names: z.array(z.string()).max(2).optional(),
  deep: z.boolean().optional(),
  metadata: z.union([z.literal('null'), z.record(z.string(), z.string())]).optional(),
});

describe('parameters', () => {
  it('become numbers, booleans, lists and maps as declared', () => {
    const raw = {
      after_step: '7',
      names: 'loss',
      deep: 'true',
      'metadata[Team]': 'a',
      'metadata[__proto__]': 'b',
      x: '1',
    };
    const parsed = parseParameters(query, raw);
    expect(parsed).toMatchObject({ afterStep: 7, names: ['loss'], deep: true });
    expect(Object.entries(parsed.metadata ?? {})).toContainEqual(['Team', 'a']);
    expect(parseParameters(query, { metadata: 'null' })).toEqual({ afterStep: -1, metadata: 'null' });
    expect(parseParameters(query, { names: ['a', 'b'] }).names).toEqual(['a', 'b']);
  });

  it.each(['x', '1.5', '', '1e999', 'NaN', '0x10'])('refuse %p for an integer, naming the parameter', (text) => {
    expect(() => parseParameters(query, { after_step: text })).toThrow(
      expect.objectContaining({ code: 'request.invalid', param: 'after_step' }),
    );
  });
});

describe('bodies', () => {
  const body = z.strictObject({
    localDir: z.string(),
    inner: z.object({ batchSize: z.union([z.literal('auto'), z.int()]) }),
  });

  it.each([
    [{ local_dir: 1, inner: { batch_size: 1 } }, 'local_dir'],
    [{ local_dir: 'x', inner: { batch_size: 'many' } }, 'inner.batch_size'],
    [{ local_dir: 'x', inner: { batch_size: 1 }, extra: 1 }, 'extra'],
    [{ local_dir: 'x' }, 'inner'],
  ])('%j are refused at %s', (given, param) => {
    expect(() => parseBody(body, given)).toThrow(expect.objectContaining({ code: 'request.invalid', param }));
  });

  it.each([[null], [[]], ['text'], [7], [undefined]])('%j is not an object', (given) => {
    expect(() => parseBody(body, given)).toThrow('The body must be a JSON object');
  });

  it('a union says what each option expected', () => {
    expect(() => parseBody(body, { local_dir: 'x', inner: { batch_size: {} } })).toThrow(/"auto".* or .*number/);
  });
});
