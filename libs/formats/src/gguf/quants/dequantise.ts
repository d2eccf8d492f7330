import { FormatError } from '../../format-error.js';
import { toFloat32 } from '../../safetensors/float.js';
import { GGUF_TENSOR_TYPES } from '../gguf-types.js';
import type { GgufTensorType } from '../gguf-types.js';
import { dequantiseK } from './k-blocks.js';
import { dequantiseQ8, dequantiseSmall } from './small-blocks.js';

/** Bytes of whole blocks of a GGUF tensor as floats, bit for bit what ggml makes of them. */
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
      return dequantiseSmall(bytes, { blockBytes, bits: 4, withMinimum: false });
    case 'Q4_1':
      return dequantiseSmall(bytes, { blockBytes, bits: 4, withMinimum: true });
    case 'Q5_0':
      return dequantiseSmall(bytes, { blockBytes, bits: 5, withMinimum: false });
    case 'Q5_1':
      return dequantiseSmall(bytes, { blockBytes, bits: 5, withMinimum: true });
    case 'Q8_0':
      return dequantiseQ8(bytes, blockBytes);
    case 'Q2_K':
    case 'Q3_K':
    case 'Q4_K':
    case 'Q5_K':
    case 'Q6_K':
      return dequantiseK(bytes, type, blockBytes);
  }
}
