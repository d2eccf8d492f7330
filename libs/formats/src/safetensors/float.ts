import { FormatError } from '../format-error.js';
import type { SafetensorsDtype } from './dtype.js';

export type FloatType = 'F32' | 'F16' | 'BF16';
export const isFloat = (dtype: string): dtype is FloatType => dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';

const scratchFloat = new Float32Array(1);
const scratchBits = new Uint32Array(scratchFloat.buffer);
let halfTable: Float32Array | undefined;

function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** All 65,536 half precision values by their bits: a look-up is many times faster than decoding each element. */
function getHalfTable(): Float32Array {
  if (!halfTable) {
    halfTable = new Float32Array(65_536);
    for (let bits = 0; bits < 65_536; bits += 1) halfTable[bits] = halfToFloat(bits);
  }
  return halfTable;
}

/** A copy with its own aligned buffer: bytes read from a file may start at any offset. */
function alignedCopy(bytes: Uint8Array): ArrayBuffer {
  const copy = new ArrayBuffer(bytes.byteLength);
  new Uint8Array(copy).set(bytes);
  return copy;
}

/** Little-endian bytes of F32, F16, BF16 or F64 elements as Float32Array (always a copy). */
export function toFloat32(bytes: Uint8Array, dtype: SafetensorsDtype): Float32Array {
  const buffer = alignedCopy(bytes);
  switch (dtype) {
    case 'F32':
      return new Float32Array(buffer);
    case 'F64':
      return Float32Array.from(new Float64Array(buffer));
    case 'BF16': {
      const source = new Uint16Array(buffer);
      const result = new Float32Array(source.length);
      const bits = new Uint32Array(result.buffer);
      for (let i = 0; i < source.length; i += 1) bits[i] = (source[i] ?? 0) << 16;
      return result;
    }
    case 'F16': {
      const source = new Uint16Array(buffer);
      const result = new Float32Array(source.length);
      const table = getHalfTable();
      for (let i = 0; i < source.length; i += 1) result[i] = table[source[i] ?? 0] ?? 0;
      return result;
    }
    default:
      throw new FormatError('format.unsupported', `Elements of type ${dtype} cannot be read as floats.`, { dtype });
  }
}

/** Bits of the nearest bfloat16, ties to even; NaN stays NaN. */
function bfloat16Bits(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return ((bits >>> 16) | 0x40) & 0xffff;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** Bits of the nearest half precision number, ties to even; too large becomes infinity, NaN stays NaN. */
function halfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x33000001) return sign;
  const exponent = magnitude >>> 23;
  if (exponent < 113) {
    const shift = 126 - exponent;
    const mantissa = (magnitude & 0x7fffff) | 0x800000;
    const half = mantissa >>> shift;
    const rest = mantissa & ((1 << shift) - 1);
    const middle = 1 << (shift - 1);
    return sign | (half + (rest > middle || (rest === middle && half & 1) ? 1 : 0));
  }
  const rounded = magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1);
  return sign | (rounded >>> 13);
}

/** Float32 values as little-endian bytes of the given float type, rounded to nearest even. */
export function fromFloat32(values: Float32Array, dtype: 'F32' | 'F16' | 'BF16'): Uint8Array {
  if (dtype === 'F32')
    return new Uint8Array(alignedCopy(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)));
  const source = new Uint32Array(alignedCopy(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)));
  const result = new Uint16Array(source.length);
  const convert = dtype === 'BF16' ? bfloat16Bits : halfBits;
  for (let i = 0; i < source.length; i += 1) result[i] = convert(source[i] ?? 0);
  return new Uint8Array(result.buffer);
}

/** One number rounded to bfloat16 and back, for tests and tolerances. */
export function roundToBfloat16(value: number): number {
  scratchFloat[0] = value;
  scratchBits[0] = bfloat16Bits(scratchBits[0] ?? 0) << 16;
  return scratchFloat[0];
}
