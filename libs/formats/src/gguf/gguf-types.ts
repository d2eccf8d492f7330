/** Tensor types that are read, by the number GGUF gives them (ggml.h, ggml-common.h). Plain types are blocks of one element. */
export const GGUF_TENSOR_TYPES = {
  F32: { id: 0, blockElements: 1, blockBytes: 4 },
  F16: { id: 1, blockElements: 1, blockBytes: 2 },
  Q4_0: { id: 2, blockElements: 32, blockBytes: 18 },
  Q4_1: { id: 3, blockElements: 32, blockBytes: 20 },
  Q5_0: { id: 6, blockElements: 32, blockBytes: 22 },
  Q5_1: { id: 7, blockElements: 32, blockBytes: 24 },
  Q8_0: { id: 8, blockElements: 32, blockBytes: 34 },
  Q2_K: { id: 10, blockElements: 256, blockBytes: 84 },
  Q3_K: { id: 11, blockElements: 256, blockBytes: 110 },
  Q4_K: { id: 12, blockElements: 256, blockBytes: 144 },
  Q5_K: { id: 13, blockElements: 256, blockBytes: 176 },
  Q6_K: { id: 14, blockElements: 256, blockBytes: 210 },
  BF16: { id: 30, blockElements: 1, blockBytes: 2 },
} as const;
export type GgufTensorType = keyof typeof GGUF_TENSOR_TYPES;

/** Types that are known and not read, by number: codebooks, ternary and four-bit floats, and what only computations use. */
const REFUSED_TYPES: Readonly<Record<number, string>> = {
  9: 'Q8_1',
  15: 'Q8_K',
  16: 'IQ2_XXS',
  17: 'IQ2_XS',
  18: 'IQ3_XXS',
  19: 'IQ1_S',
  20: 'IQ4_NL',
  21: 'IQ3_S',
  22: 'IQ2_S',
  23: 'IQ4_XS',
  24: 'I8',
  25: 'I16',
  26: 'I32',
  27: 'I64',
  28: 'F64',
  29: 'IQ1_M',
  34: 'TQ1_0',
  35: 'TQ2_0',
  39: 'MXFP4',
  40: 'NVFP4',
};

/** The name of a type, also of one that is not read. */
export const ggufTypeName = (id: number): string => ggufTensorType(id) ?? REFUSED_TYPES[id] ?? `number ${id}`;

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
export const GGUF_FILE_TYPE = { F32: 0, F16: 1, Q8_0: 7, BF16: 32 } as const;
