import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FormatError } from '../format-error.js';
import { dequantise } from './quants/dequantise.js';
import { permuteRows, unpermuteRows } from './permute-rows.js';
import { ggufPreTokenizer, preTokenizerNamed } from './pre-tokenizers.js';
import { openGguf } from './read-gguf.js';
import { writeGguf } from './write-gguf.js';
import type { GgufEntry } from './write-gguf.js';

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gguf-'));
});
afterAll(async () => rm(dir, { recursive: true, force: true }));

async function writeSample(path: string): Promise<void> {
  const metadata = new Map<string, GgufEntry>([
    ['general.architecture', { type: 'string', value: 'llama' }],
    ['tokens', { type: 'string[]', value: ['a', 'ä'] }],
    ['scores', { type: 'float32[]', value: [0, -1.5] }],
    ['count', { type: 'uint32', value: 7 }],
  ]);
  async function* data(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6).buffer);
  }
  await writeGguf(path, metadata, [
    { name: 'w', type: 'F32', shape: [2, 3], data },
    { name: 'v', type: 'F32', shape: [6], data },
  ]);
}

describe('GGUF', () => {
  it('reads what it writes', async () => {
    const path = join(dir, 'a.gguf');
    await writeSample(path);
    const file = await openGguf(path);
    expect(file.list('tokens')).toEqual(['a', 'ä']);
    expect(file.list('scores')).toEqual([0, -1.5]);
    expect(file.number('count')).toBe(7);
    expect(file.get('w').shape).toEqual([2, 3]);
    expect([...(await file.readRows('w', 1, 2))]).toEqual([4, 5, 6]);
    expect([...(await file.readFloat32('v'))]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('refuses changed, cut and boastful headers with typed errors only', async () => {
    const path = join(dir, 'b.gguf');
    await writeSample(path);
    const good = await readFile(path);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 6 }),
        fc.nat(good.length),
        async (changes, cut) => {
          const bytes = Buffer.from(good);
          for (const [at, value] of changes) bytes[at] = value;
          await writeFile(path, bytes.subarray(0, cut));
          const error: unknown = await openGguf(path).then(
            () => undefined,
            (thrown: unknown) => thrown,
          );
          expect(error === undefined || error instanceof FormatError).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
    const huge = Buffer.from(good);
    huge.writeBigUInt64LE(1n << 60n, 8);
    await writeFile(path, huge);
    await expect(openGguf(path)).rejects.toMatchObject({ code: 'format.too-large' });
  });

  it('dequantises blocks', () => {
    const q8 = new Uint8Array(34).fill(0xff);
    q8.set([0x00, 0x3c]);
    expect([...dequantise(q8, 'Q8_0')]).toEqual(new Array(32).fill(-1));
    const q41 = new Uint8Array(20).fill(0x21);
    q41.set([0x00, 0x3c, 0x00, 0x40]);
    expect(dequantise(q41, 'Q4_1')[0]).toBe(3);
    expect(dequantise(q41, 'Q4_1')[16]).toBe(4);
  });

  it('permutes rows there and back', () => {
    const rows = Float32Array.from({ length: 48 }, (_, i) => i);
    expect(unpermuteRows(permuteRows(rows, 4, 3), 4, 3)).toEqual(rows);
    expect([...permuteRows(Float32Array.of(0, 1, 2, 3), 4, 1)]).toEqual([0, 2, 1, 3]);
  });

  it('knows only pre-tokenizers that were compared', () => {
    for (const pre of ['smollm', 'gpt-2', 'llama-bpe', 'qwen2'])
      expect(ggufPreTokenizer(preTokenizerNamed(pre).json).pre).toBe(pre);
    expect(() => ggufPreTokenizer({ type: 'Whitespace' })).toThrow(FormatError);
    // llama.cpp splits by a pattern of its own there, "the quality will be degraded"; what the model was trained with is not known.
    for (const pre of ['default', undefined]) expect(() => preTokenizerNamed(pre)).toThrow('does not say how');
  });
});
