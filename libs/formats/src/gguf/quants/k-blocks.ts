import { blockScales, product, scaled } from './block-scales.js';

/**
 * Blocks of 256 elements with scales of their own for every 16 or 32 (ggml-common.h, block_q2_K to block_q6_K).
 * `at` is the first byte of a block, `out` the place of its first element.
 */
const ELEMENTS = 256;

type Block = (bytes: Uint8Array, at: number, out: Float32Array, first: number, d: number, dMin: number) => void;

const signed = (byte: number): number => (byte << 24) >> 24;

/** 16 bytes of (scale, minimum) nibbles, then 64 bytes of four 2-bit numbers. */
const q2: Block = (bytes, at, out, first, d, dMin) => {
  for (let i = 0; i < ELEMENTS; i += 1) {
    const packed = bytes[at + (i >> 4)] ?? 0;
    const quad = bytes[at + 16 + (i >> 7) * 32 + (i & 31)] ?? 0;
    const q = (quad >> (((i >> 5) & 3) * 2)) & 3;
    out[first + i] = scaled(product(d * (packed & 15)), q, product(dMin * (packed >> 4)));
  }
};

/** 16 scales of 6 bits in 12 bytes: low four bits in the first eight, high two in the last four; counted from 32. */
function scaleOfQ3(bytes: Uint8Array, at: number, group: number): number {
  const low = ((bytes[at + (group & 7)] ?? 0) >> (group < 8 ? 0 : 4)) & 15;
  const high = ((bytes[at + 8 + (group & 3)] ?? 0) >> ((group >> 2) * 2)) & 3;
  return (low | (high << 4)) - 32;
}

/** 32 bytes of third bits (4 is taken away where one is missing), 64 of four 2-bit numbers, 12 of scales. */
const q3: Block = (bytes, at, out, first, d) => {
  for (let i = 0; i < ELEMENTS; i += 1) {
    const part = i >> 5;
    const low = ((bytes[at + 32 + (i >> 7) * 32 + (i & 31)] ?? 0) >> ((part & 3) * 2)) & 3;
    const high = ((bytes[at + (i & 31)] ?? 0) >> part) & 1;
    out[first + i] = product(d * scaleOfQ3(bytes, at + 96, i >> 4)) * (low - (high === 1 ? 0 : 4));
  }
};

/** 8 scales and 8 minimums of 6 bits in 12 bytes, as Q4_K and Q5_K store them. */
function scaleAndMinimum(bytes: Uint8Array, at: number, group: number): [scale: number, minimum: number] {
  const byte = (index: number): number => bytes[at + index] ?? 0;
  if (group < 4) return [byte(group) & 63, byte(group + 4) & 63];
  const low = byte(group + 4);
  return [(low & 15) | ((byte(group - 4) >> 2) & 48), (low >> 4) | ((byte(group) >> 2) & 48)];
}

/** Scale and minimum, 12 bytes of their parts, for Q5_K 32 bytes of fifth bits, 128 of low and high nibbles. */
const q4or5 =
  (bits: 4 | 5): Block =>
  (bytes, at, out, first, d, dMin) => {
    const nibbles = at + (bits === 5 ? 48 : 16);
    for (let group = 0; group < 8; group += 1) {
      const [scale, minimum] = scaleAndMinimum(bytes, at + 4, group);
      const [step, least] = [product(d * scale), product(dMin * minimum)];
      for (let i = 0; i < 32; i += 1) {
        const low = ((bytes[nibbles + (group >> 1) * 32 + i] ?? 0) >> ((group & 1) * 4)) & 15;
        const fifth = bits === 5 ? ((bytes[at + 16 + i] ?? 0) >> group) & 1 : 0;
        out[first + group * 32 + i] = scaled(step, low | (fifth << 4), least);
      }
    }
  };

/** 128 bytes of low nibbles, 64 of four upper 2-bit numbers, 16 signed scales; counted from 32. */
const q6: Block = (bytes, at, out, first, d) => {
  for (let i = 0; i < ELEMENTS; i += 1) {
    const half = i >> 7;
    const low = ((bytes[at + half * 64 + (i & 63)] ?? 0) >> (((i >> 6) & 1) * 4)) & 15;
    const high = ((bytes[at + 128 + half * 32 + (i & 31)] ?? 0) >> (((i >> 5) & 3) * 2)) & 3;
    const scale = signed(bytes[at + 192 + (i >> 4)] ?? 0);
    out[first + i] = product(d * scale) * ((low | (high << 4)) - 32);
  }
};

interface Layout {
  readonly block: Block;
  /** Byte of the half precision scale of the whole block; that of its minimums follows where there are any. */
  readonly scaleAt: number;
  readonly withMinimum: boolean;
}

export const K_LAYOUTS = {
  Q2_K: { block: q2, scaleAt: 80, withMinimum: true },
  Q3_K: { block: q3, scaleAt: 108, withMinimum: false },
  Q4_K: { block: q4or5(4), scaleAt: 0, withMinimum: true },
  Q5_K: { block: q4or5(5), scaleAt: 0, withMinimum: true },
  Q6_K: { block: q6, scaleAt: 208, withMinimum: false },
} as const satisfies Record<string, Layout>;

/** Whole blocks of a K type as floats. */
export function dequantiseK(bytes: Uint8Array, type: keyof typeof K_LAYOUTS, blockBytes: number): Float32Array {
  const { block, scaleAt, withMinimum } = K_LAYOUTS[type];
  const perBlock = withMinimum ? 2 : 1;
  const scales = blockScales(bytes, blockBytes, scaleAt, perBlock);
  const blocks = bytes.byteLength / blockBytes;
  const result = new Float32Array(blocks * ELEMENTS);
  for (let i = 0; i < blocks; i += 1) {
    const minimum = withMinimum ? (scales[i * perBlock + 1] ?? 0) : 0;
    block(bytes, i * blockBytes, result, i * ELEMENTS, scales[i * perBlock] ?? 0, minimum);
  }
  return result;
}
