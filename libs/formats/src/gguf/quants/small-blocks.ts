import { blockScales, scaled } from './block-scales.js';

/** Elements of a block of Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 (ggml-common.h). */
const ELEMENTS = 32;

export interface SmallBlock {
  readonly blockBytes: number;
  readonly bits: 4 | 5;
  /** Whether a minimum is stored beside the scale; else quants are counted from their middle. */
  readonly withMinimum: boolean;
}

/** Q4 and Q5: the low halves of 16 bytes are elements 0-15, the high halves 16-31; 32 fifth bits lie before them. */
export function dequantiseSmall(bytes: Uint8Array, { blockBytes, bits, withMinimum }: SmallBlock): Float32Array {
  const perBlock = withMinimum ? 2 : 1;
  const scales = blockScales(bytes, blockBytes, 0, perBlock);
  const result = new Float32Array((bytes.byteLength / blockBytes) * ELEMENTS);
  const middle = withMinimum ? 0 : 1 << (bits - 1);
  for (let block = 0; block * blockBytes < bytes.byteLength; block += 1) {
    const scale = scales[block * perBlock] ?? 0;
    const minimum = withMinimum ? -(scales[block * perBlock + 1] ?? 0) : 0;
    const fifths = block * blockBytes + perBlock * 2;
    const nibbles = fifths + (bits === 5 ? 4 : 0);
    for (let i = 0; i < ELEMENTS; i += 1) {
      const low = ((bytes[nibbles + (i % 16)] ?? 0) >> (i < 16 ? 0 : 4)) & 0x0f;
      const fifth = bits === 5 ? ((bytes[fifths + (i >> 3)] ?? 0) >> (i & 7)) & 1 : 0;
      result[block * ELEMENTS + i] = scaled(scale, (low | (fifth << 4)) - middle, minimum);
    }
  }
  return result;
}

/** Q8_0: a scale and 32 signed bytes. */
export function dequantiseQ8(bytes: Uint8Array, blockBytes: number): Float32Array {
  const scales = blockScales(bytes, blockBytes, 0, 1);
  const result = new Float32Array((bytes.byteLength / blockBytes) * ELEMENTS);
  for (let i = 0; i < result.length; i += 1) {
    const block = Math.floor(i / ELEMENTS);
    const at = block * blockBytes + 2 + (i % ELEMENTS);
    result[i] = (((bytes[at] ?? 0) << 24) >> 24) * (scales[block] ?? 0);
  }
  return result;
}
