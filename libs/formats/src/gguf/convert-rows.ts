import { FormatError } from '../format-error.js';
import { elementCount, SAFETENSORS_DTYPE_SIZE_BYTES } from '../safetensors/dtype.js';
import { fromFloat32, toFloat32 } from '../safetensors/float.js';
import type { SafetensorsTensor } from '../safetensors/header.js';
import type { SafetensorsFile } from '../safetensors/read-safetensors.js';
import { GGUF_TENSOR_TYPES } from './gguf-types.js';
import { permuteRows } from './permute-rows.js';
import { quantiseQ8 } from './quants/quantise-q8.js';

/** Types in which matrices can be written. */
export const GGUF_OUTPUT_TYPES = ['F32', 'F16', 'BF16', 'Q8_0'] as const;
export type GgufOutputType = (typeof GGUF_OUTPUT_TYPES)[number];

/** Elements converted at a time, so that memory does not grow with the largest tensor. */
export const CHUNK_ELEMENTS = 1 << 20;

/** Vectors are F32; where rows are no whole blocks of Q8_0, they are F16, as llama.cpp's own converter does it. */
export function storedType(shape: readonly number[], type: GgufOutputType): GgufOutputType {
  if (shape.length === 1) return 'F32';
  return type === 'Q8_0' && (shape.at(-1) ?? 0) % GGUF_TENSOR_TYPES.Q8_0.blockElements !== 0 ? 'F16' : type;
}

const encode = (values: Float32Array, type: GgufOutputType): Uint8Array =>
  type === 'Q8_0' ? quantiseQ8(values) : fromFloat32(values, type);

export interface RowConversion {
  readonly type: GgufOutputType;
  /** Set where rows are permuted: how many make one head. */
  readonly headDim?: number | undefined;
  /** Added to every value. */
  readonly offset?: number;
}

/** A tensor's rows in GGUF order, converted a piece at a time. A vector's rows are its elements. */
export async function* convertRows(
  file: Pick<SafetensorsFile, 'readRange'>,
  tensor: SafetensorsTensor,
  { type, headDim, offset = 0 }: RowConversion,
): AsyncGenerator<Uint8Array> {
  const count = elementCount(tensor.shape) ?? 0;
  const columns = tensor.shape.length > 1 ? (tensor.shape[1] ?? 1) : 1;
  const unit = columns * (headDim ?? 1);
  const step = Math.max(unit, Math.floor(CHUNK_ELEMENTS / unit) * unit);
  const elementBytes = SAFETENSORS_DTYPE_SIZE_BYTES[tensor.dtype];
  for (let first = 0; first < count; first += step) {
    const last = Math.min(count, first + step);
    const bytes = await file.readRange(tensor.name, first * elementBytes, last * elementBytes);
    if (tensor.dtype === type && headDim === undefined && offset === 0) {
      yield bytes;
      continue;
    }
    const values = toFloat32(bytes, tensor.dtype);
    if (offset !== 0) for (let i = 0; i < values.length; i += 1) values[i] = (values[i] ?? 0) + offset;
    yield encode(headDim === undefined ? values : permuteRows(values, headDim, columns), type);
  }
}

/** llama.cpp would refuse it later with no word about which tensor, or read beside it. */
export function checkShape({ name, shape }: SafetensorsTensor, expected: readonly number[]): void {
  if (shape.join() === expected.join()) return;
  throw new FormatError('format.malformed', `"${name}" is [${shape.join(', ')}], expected [${expected.join(', ')}].`, {
    tensor: name,
  });
}
