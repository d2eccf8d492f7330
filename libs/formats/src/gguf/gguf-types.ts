/** Tensor types that are read, by the number GGUF gives them. Blocks hold 32 elements, plain types one. */
export const GGUF_TENSOR_TYPES = {
  F32: { id: 0, blockElements: 1, blockBytes: 4 },
  F16: { id: 1, blockElements: 1, blockBytes: 2 },
  Q4_0: { id: 2, blockElements: 32, blockBytes: 18 },
  Q4_1: { id: 3, blockElements: 32, blockBytes: 20 },
  Q8_0: { id: 8, blockElements: 32, blockBytes: 34 },
  BF16: { id: 30, blockElements: 1, blockBytes: 2 },
} as const;
export type GgufTensorType = keyof typeof GGUF_TENSOR_TYPES;

export function ggufTensorType(id: number): GgufTensorType | undefined {
  return (Object.keys(GGUF_TENSOR_TYPES) as GgufTensorType[]).find((name) => GGUF_TENSOR_TYPES[name].id === id);
}

/** Types of metadata values, by the number GGUF gives them. */
export const GGUF_VALUE_TYPES = {
  uint8: 0,
  int8: 1,
  uint16: 2,
  int16: 3,
  uint32: 4,
  int32: 5,
  float32: 6,
  bool: 7,
  string: 8,
  array: 9,
  uint64: 10,
  int64: 11,
  float64: 12,
} as const;

export type GgufScalar = number | boolean | string;
export type GgufValue = GgufScalar | readonly GgufScalar[];

export const GGUF_MAGIC = 0x46554747;
export const GGUF_VERSION = 3;
export const GGUF_ALIGNMENT_DEFAULT = 32;
/** `general.file_type` of a file whose matrices have this type. */
export const GGUF_FILE_TYPE = { F32: 0, F16: 1, BF16: 32 } as const;
