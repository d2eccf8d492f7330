import { toFloat32 } from '../../safetensors/float.js';

/** The `perBlock` half precision numbers at byte `at` of every block, one block after the other. */
export function blockScales(bytes: Uint8Array, blockBytes: number, at: number, perBlock: number): Float32Array {
  const blocks = bytes.byteLength / blockBytes;
  const raw = new Uint8Array(blocks * perBlock * 2);
  for (let block = 0; block < blocks; block += 1) {
    const start = block * blockBytes + at;
    raw.set(bytes.subarray(start, start + perBlock * 2), block * perBlock * 2);
  }
  return toFloat32(raw, 'F16');
}

const { fround } = Math;

/** `scale * q - minimum`, rounded to single precision after each operation, as ggml computes it. */
export const scaled = (scale: number, q: number, minimum: number): number => fround(scale * q) - minimum;
export const product = fround;
