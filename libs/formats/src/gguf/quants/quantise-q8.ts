import { FormatError } from '../../format-error.js';
import { fromFloat32 } from '../../safetensors/float.js';

const ELEMENTS = 32;
const BLOCK_BYTES = 34;
/** Above this a half precision scale is infinite. */
const SCALE_MAX = 65_504;
const { fround } = Math;

/** roundf of C: halves away from zero. */
const roundHalfAway = (value: number): number => Math.sign(value) * Math.floor(Math.abs(value) + 0.5);

/**
 * Float32 values as Q8_0 blocks, bit for bit as ggml's reference: scale = largest magnitude / 127 in single precision,
 * stored as a half; values times the inverse of the unrounded scale, rounded to nearest.
 * @throws FormatError `format.invalid-input` for values that are not finite, or too large for a half precision scale.
 */
export function quantiseQ8(values: Float32Array): Uint8Array {
  if (values.length % ELEMENTS !== 0)
    throw new FormatError('format.invalid-input', `${values.length} values are not whole blocks of Q8_0.`);
  const blocks = values.length / ELEMENTS;
  const scales = new Float32Array(blocks);
  const result = new Uint8Array(blocks * BLOCK_BYTES);
  for (let block = 0; block < blocks; block += 1) {
    const first = block * ELEMENTS;
    const scale = scaleOf(values, first);
    scales[block] = scale;
    const inverse = scale === 0 ? 0 : fround(1 / scale);
    for (let i = 0; i < ELEMENTS; i += 1)
      result[block * BLOCK_BYTES + 2 + i] = roundHalfAway(fround((values[first + i] ?? 0) * inverse)) & 0xff;
  }
  const halves = fromFloat32(scales, 'F16');
  for (let block = 0; block < blocks; block += 1)
    result.set(halves.subarray(block * 2, block * 2 + 2), block * BLOCK_BYTES);
  return result;
}

function scaleOf(values: Float32Array, first: number): number {
  let largest = 0;
  for (let i = first; i < first + ELEMENTS; i += 1) {
    const magnitude = Math.abs(values[i] ?? 0);
    if (!(magnitude <= largest)) largest = magnitude; // also takes NaN, which the check below refuses
    if (Number.isNaN(magnitude)) break;
  }
  const scale = fround(largest / 127);
  if (!(scale <= SCALE_MAX))
    throw new FormatError(
      'format.invalid-input',
      `The weights hold ${largest}, which Q8_0 cannot store: export them as F32 or BF16, or train anew.`,
    );
  return scale;
}
