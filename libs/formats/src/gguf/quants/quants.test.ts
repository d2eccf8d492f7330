import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GGUF_TENSOR_TYPES, ggufTypeName } from '../gguf-types.js';
import type { GgufTensorType } from '../gguf-types.js';
import { openGguf } from '../read-gguf.js';
import { writeGguf } from '../write-gguf.js';
import { dequantise } from './dequantise.js';
import { quantiseQ8 } from './quantise-q8.js';

interface Golden {
  readonly read: Record<string, { blocks: string; values: string }>;
  readonly written: { readonly Q8_0: { blocks: string; values: string } };
}
/** Made by golden-blocks.py with the reference implementation. */
const golden = JSON.parse(await readFile(join(import.meta.dirname, 'golden-blocks.json'), 'utf8')) as Golden;
const bytes = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'));
const floats = (base64: string): Float32Array => new Float32Array(bytes(base64).buffer);
/** Zero and minus zero are the same weight. */
const plain = (values: Float32Array): number[] => Array.from(values, (value) => value + 0);

const QUANTISED = (Object.keys(GGUF_TENSOR_TYPES) as GgufTensorType[]).filter(
  (type) => GGUF_TENSOR_TYPES[type].blockElements > 1,
);

describe('quantised blocks', () => {
  it.each(QUANTISED)('of %s are read bit for bit as the reference reads them', (type) => {
    const { blocks, values } = golden.read[type] ?? { blocks: '', values: '' };
    expect(bytes(blocks).length).toBeGreaterThan(0);
    expect(plain(dequantise(bytes(blocks), type))).toEqual(plain(floats(values)));
  });

  it('of Q8_0 are written bit for bit as the reference writes them', () => {
    const { blocks, values } = golden.written.Q8_0;
    expect(Buffer.from(quantiseQ8(floats(values))).toString('base64')).toBe(blocks);
  });

  it.each(QUANTISED)('of %s do not depend on what lies before or after them', (type) => {
    const { blockBytes, blockElements } = GGUF_TENSOR_TYPES[type];
    const block = fc.uint8Array({ minLength: blockBytes, maxLength: blockBytes });
    fc.assert(
      fc.property(fc.array(block, { minLength: 1, maxLength: 4 }), (blocks) => {
        const whole = dequantise(new Uint8Array(Buffer.concat(blocks)), type);
        blocks.forEach((one, i) =>
          expect(whole.subarray(i * blockElements, (i + 1) * blockElements)).toEqual(dequantise(one, type)),
        );
      }),
      { numRuns: 50 },
    );
    expect(() => dequantise(new Uint8Array(blockBytes + 1), type)).toThrow('whole blocks');
  });

  it('of Q8_0 come back within half a step, and the largest within a half precision rounding', () => {
    const value = fc.float({ min: -1e4, max: 1e4, noNaN: true });
    fc.assert(
      fc.property(fc.array(value, { minLength: 64, maxLength: 64 }), (list) => {
        const values = Float32Array.from(list);
        const back = dequantise(quantiseQ8(values), 'Q8_0');
        for (const first of [0, 32]) {
          const largest = Math.max(...values.subarray(first, first + 32).map(Math.abs));
          // Half a step, and the rounding of the scale: relative 2^-11, absolute 2^-25 for the smallest.
          const allowed = largest / 254 + largest * 2 ** -10 + 127 * 2 ** -24;
          for (let i = first; i < first + 32; i += 1)
            expect(Math.abs((back[i] ?? 0) - (values[i] ?? 0))).toBeLessThanOrEqual(allowed);
        }
      }),
    );
  });

  it.each([NaN, Infinity, 1e30])('of Q8_0 are not written for the weight %d', (weight) => {
    const values = new Float32Array(32).fill(0.5);
    values[3] = weight;
    expect(() => quantiseQ8(values)).toThrow('Q8_0 cannot store');
    expect(() => quantiseQ8(new Float32Array(31))).toThrow('whole blocks');
  });
});

describe('a quantised tensor in a file', () => {
  it.each(['Q8_0', 'Q6_K'] as const)('of %s is read by rows as it is read whole', async (type) => {
    const dir = await mkdtemp(join(tmpdir(), 'quants-'));
    try {
      const { blockBytes } = GGUF_TENSOR_TYPES[type];
      const row = 256;
      const data = new Uint8Array((row / GGUF_TENSOR_TYPES[type].blockElements) * blockBytes * 3).map((_, i) => i * 31);

      const pieces = async function* (): AsyncGenerator<Uint8Array> {
        yield data;
      };
      const path = join(dir, 'a.gguf');
      await writeGguf(path, new Map(), [{ name: 'w', type, shape: [3, row], data: pieces }]);
      const file = await openGguf(path);
      const whole = await file.readFloat32('w');
      expect(whole.length).toBe(3 * row);
      expect(await file.readRows('w', 1, 3)).toEqual(whole.subarray(row));
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });

  it('is named also where its type is not read', () => {
    expect(ggufTypeName(23)).toBe('IQ4_XS');
    expect(ggufTypeName(GGUF_TENSOR_TYPES.Q4_K.id)).toBe('Q4_K');
  });
});
