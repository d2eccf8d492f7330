import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { invalidUtf8At, readLines } from './line-reader.js';
import type { JsonlLine } from './line-reader.js';
import { parseTrainingRow } from './parse-training-row.js';
import { readTrainingRows } from './read-training-rows.js';
import type { FileRow } from './read-training-rows.js';
import { conversationOf } from './training-row.js';

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
async function lines(parts: Iterable<Uint8Array>, lineBytesMax?: number): Promise<JsonlLine[]> {
  return collect(readLines(parts, lineBytesMax === undefined ? {} : { lineBytesMax }));
}
async function* stream(...parts: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part as string);
}
const rows = async (...parts: (string | Uint8Array)[]): Promise<FileRow[]> =>
  collect(readTrainingRows(stream(...parts)));
const good = '{"prompt":"a","completion":"b"}';

describe('line reader', () => {
  it('gives the same lines however the bytes are cut into chunks', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: 'grapheme' }).map((s) => s.replace(/[\r\n]/g, ''))),
        fc.integer({ min: 1, max: 7 }),
        async (texts, size) => {
          const bytes = Buffer.from(texts.map((text) => `${text}\n`).join(''));
          const parts = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
            bytes.subarray(i * size, (i + 1) * size),
          );
          const read = await lines(parts);
          const expected = texts.map((text, i) => (i === 0 && text.startsWith('\uFEFF') ? text.slice(1) : text));
          expect(read.map((line) => line.kind === 'line' && line.text)).toEqual(expected);
          expect(read.map((line) => line.line)).toEqual(texts.map((_, i) => i + 1));
        },
      ),
    );
  });

  it('keeps a last line without newline and sees BOM and CRLF', async () => {
    expect(await lines([Buffer.from('\uFEFFone\r\ntwo')])).toEqual([
      { kind: 'line', line: 1, text: 'one', crlf: true, byteOrderMark: true },
      { kind: 'line', line: 2, text: 'two', crlf: false, byteOrderMark: false },
    ]);
  });

  it('skips a 50 MB line with bounded memory and goes on after it', async () => {
    const chunk = Buffer.alloc(65_536, 0x61);
    function* parts(): Generator<Uint8Array> {
      yield Buffer.from('first\n');
      for (let i = 0; i < 800; i += 1) yield chunk;
      yield Buffer.from('\nlast');
    }
    const before = process.memoryUsage().arrayBuffers;
    const read = await lines(parts(), 1_000_000);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20_000_000);
    expect(read.map((line) => line.kind)).toEqual(['line', 'too-long', 'line']);
    expect(read[1]).toMatchObject({ line: 2, sizeBytes: 800 * 65_536 });
  });

  it('names the byte at which UTF-8 breaks', async () => {
    const bytes = Buffer.concat([Buffer.from('ok\nä'), Buffer.of(0xff), Buffer.from('x\nfine')]);
    expect((await lines([bytes]))[1]).toEqual({ kind: 'invalid-utf8', line: 2, byteOffset: 5 });
  });

  it('agrees with the platform decoder on what is valid UTF-8', () => {
    const decoder = new TextDecoder('utf-8', { fatal: true });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
        let valid = true;
        try {
          decoder.decode(bytes);
        } catch {
          valid = false;
        }
        expect(invalidUtf8At(bytes) === -1).toBe(valid);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('training rows', () => {
  it.each([
    [
      'alpaca',
      { instruction: 'Sum', input: '1 2', output: '3', system: 'S', history: [['q', 'a']] },
      ['system:S', 'user:q', 'assistant:a', 'user:Sum\n1 2', 'assistant:3'],
    ],
    ['alpaca', { instruction: 'Sum', input: '', output: '3' }, ['user:Sum', 'assistant:3']],
    [
      'chat',
      {
        messages: [
          { role: 'developer', content: 'S' },
          { role: 'user', content: [{ type: 'text', text: 'q' }] },
          { role: 'assistant', content: 'a', weight: 1 },
        ],
      },
      ['system:S', 'user:q', 'assistant:a'],
    ],
    ['prompt-completion', { prompt: 'p', completion: 'c' }, ['user:p', 'assistant:c']],
    [
      'sharegpt',
      {
        conversations: [
          { from: 'human', value: 'q' },
          { from: 'gpt', value: 'a' },
        ],
      },
      ['user:q', 'assistant:a'],
    ],
  ])('brings %s rows into messages', (format, json, expected) => {
    const parsed = parseTrainingRow(json);
    expect(parsed.ok && parsed.row.format).toBe(format);
    expect(parsed.ok && conversationOf(parsed.row).map(({ role, content }) => `${role}:${content}`)).toEqual(expected);
  });

  it('keeps facts and suite for evaluation', () => {
    const parsed = parseTrainingRow({ prompt: 'p', completion: 'c', facts: ['5|five'], suite: 'prices' });
    expect(parsed).toMatchObject({ ok: true, row: { facts: ['5|five'], suite: 'prices' } });
  });

  it.each([
    ['text', 'x', 'not-object', null],
    ['a list', [], 'not-object', null],
    ['no known keys', { words: 'x' }, 'unknown-format', null],
    ['two formats at once', { prompt: 'p', completion: 'c', messages: [] }, 'mixed-format', null],
    ['no output', { instruction: 'i' }, 'missing-field', 'output'],
    ['an empty output', { instruction: 'i', output: ' ' }, 'empty-field', 'output'],
    ['a number as output', { instruction: 'i', output: 5 }, 'wrong-type', 'output'],
    ['a broken history', { instruction: 'i', output: 'o', history: [['q']] }, 'wrong-type', 'history'],
    ['no messages', { messages: [] }, 'empty-field', 'messages'],
    ['an unknown role', { messages: [{ role: 'bot', content: 'x' }] }, 'bad-role', 'messages[0].role'],
    ['a role from the prototype', { messages: [{ role: '__proto__', content: 'x' }] }, 'bad-role', 'messages[0].role'],
    [
      'a wrong weight',
      { messages: [{ role: 'assistant', content: 'x', weight: 2 }] },
      'wrong-type',
      'messages[0].weight',
    ],
    [
      'an image part',
      { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] },
      'wrong-type',
      'messages[0].content',
    ],
    ['no answer', { messages: [{ role: 'user', content: 'x' }] }, 'no-assistant-turn', null],
    [
      'an answer of weight 0 only',
      { messages: [{ role: 'assistant', content: 'x', weight: 0 }] },
      'no-assistant-turn',
      null,
    ],
    ['facts that are not texts', { prompt: 'p', completion: 'c', facts: [5] }, 'wrong-type', 'facts'],
  ])('refuses %s with a code, the field and a hint', (_what, json, code, field) => {
    const parsed = parseTrainingRow(json);
    expect(!parsed.ok && parsed.issues[0]).toMatchObject({
      code,
      field,
      severity: 'error',
      hint: expect.stringMatching(/\w/),
    });
  });

  it('never throws, whatever JSON comes in', () => {
    fc.assert(fc.property(fc.jsonValue(), (json) => void parseTrainingRow(json)));
    const key = fc.constantFrom(
      'messages',
      'conversations',
      'instruction',
      'output',
      'prompt',
      'completion',
      'history',
      'facts',
    );
    fc.assert(fc.property(fc.dictionary(key, fc.jsonValue()), (json) => void parseTrainingRow(json)));
  });
});

describe('training files', () => {
  it('reports every bad line with its number and keeps the good ones', async () => {
    const read = await rows(
      `${good}\r\n\r\n{"a"\r\n{"instruction":"i","output":"o"}\r\n{"prompt":"{{ name }}","completion":"b"}\r\n`,
    );
    expect(read.map(({ line, issues }) => [line, issues.map((issue) => issue.code)])).toEqual([
      [1, ['crlf']],
      [3, ['not-json']],
      [4, ['mixed-format']],
      [5, ['placeholder-left']],
    ]);
    expect(read.map(({ row }) => row !== undefined)).toEqual([true, false, false, true]);
  });

  it('reads a JSON array, numbering its rows, also behind a byte order mark', async () => {
    const read = await rows('\uFEFF', `  [${good},\n`, `{"prompt":"a"}]`);
    expect(read.map(({ line, unit, row }) => [line, unit, row !== undefined])).toEqual([
      [1, 'row', true],
      [2, 'row', false],
    ]);
    await expect(rows(`[${good}`)).rejects.toMatchObject({ code: 'format.malformed' });
  });

  it('yields nothing for an empty file', async () => {
    expect(await rows('')).toEqual([]);
    expect(await rows('\n \n')).toEqual([]);
  });
});
