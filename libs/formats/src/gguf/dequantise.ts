import { FormatError } from '../format-error.js';
import { toFloat32 } from '../safetensors/float.js';
import { GGUF_TENSOR_TYPES } from './gguf-types.js';
import type { GgufTensorType } from './gguf-types.js';

/** The half precision numbers at the start of every block, `perBlock` of them each. */
function blockScales(bytes: Uint8Array, blockBytes: number, perBlock: number): Float32Array {
  const blocks = bytes.byteLength / blockBytes;
  const raw = new Uint8Array(blocks * perBlock * 2);
  for (let block = 0; block < blocks; block += 1) {
    raw.set(bytes.subarray(block * blockBytes, block * blockBytes + perBlock * 2), block * perBlock * 2);
  }
  return toFloat32(raw, 'F16');
}

/** Q4: the low halves of 16 bytes are elements 0-15, the high halves 16-31; value = scale * nibble + shift. */
function dequantiseQ4(bytes: Uint8Array, blockBytes: number, withMinimum: boolean): Float32Array {
  const blocks = bytes.byteLength / blockBytes;
  const perBlock = withMinimum ? 2 : 1;
  const scales = blockScales(bytes, blockBytes, perBlock);
  const result = new Float32Array(blocks * 32);
  for (let block = 0; block < blocks; block += 1) {
    const scale = scales[block * perBlock] ?? 0;
    const shift = withMinimum ? (scales[block * perBlock + 1] ?? 0) : -8 * scale;
    const source = block * blockBytes + perBlock * 2;
    const target = block * 32;
    for (let i = 0; i < 16; i += 1) {
      const byte = bytes[source + i] ?? 0;
      result[target + i] = (byte & 0x0f) * scale + shift;
      result[target + 16 + i] = (byte >> 4) * scale + shift;
    }
  }
  return result;
}

function dequantiseQ8(bytes: Uint8Array, blockBytes: number): Float32Array {
  const blocks = bytes.byteLength / blockBytes;
  const scales = blockScales(bytes, blockBytes, 1);
  const result = new Float32Array(blocks * 32);
  for (let block = 0; block < blocks; block += 1) {
    const scale = scales[block] ?? 0;
    for (let i = 0; i < 32; i += 1)
      result[block * 32 + i] = (((bytes[block * blockBytes + 2 + i] ?? 0) << 24) >> 24) * scale;
  }
  return result;
}

/** Bytes of whole blocks of a GGUF tensor as floats. */
export function dequantise(bytes: Uint8Array, type: GgufTensorType): Float32Array {
  const { blockBytes } = GGUF_TENSOR_TYPES[type];
  if (bytes.byteLength % blockBytes !== 0)
    throw new FormatError('format.malformed', `${bytes.byteLength} bytes are not whole blocks of ${type}.`);
  switch (type) {
    case 'F32':
    case 'F16':
    case 'BF16':
      return toFloat32(bytes, type);
    case 'Q4_0':
      return dequantiseQ4(bytes, blockBytes, false);
    case 'Q4_1':
      return dequantiseQ4(bytes, blockBytes, true);
    case 'Q8_0':
      return dequantiseQ8(bytes, blockBytes);
  }
}
