import { basename } from 'node:path';
import { readModelConfig } from '../huggingface/model-config.js';
import type { ModelConfig } from '../huggingface/model-config.js';
import { fromFloat32 } from '../safetensors/float.js';
import { openSafetensorsModel } from '../safetensors/safetensors-model.js';
import type { WrittenFile } from '../safetensors/write-safetensors.js';
import { checkShape, convertRows, storedType } from './convert-rows.js';
import type { GgufOutputType } from './convert-rows.js';
import { GGUF_FILE_TYPE } from './gguf-types.js';
import { huggingFaceTokenizerEntries } from './hugging-face-tokenizer.js';
import { modelEntries } from './model-entries.js';
import { ROPE_FACTORS, ropeFactors } from './rope-factors.js';
import { tensorNames } from './tensor-names.js';
import { writeGguf } from './write-gguf.js';
import type { GgufEntry, GgufTensorToWrite } from './write-gguf.js';

export interface HuggingFaceToGgufOptions {
  readonly modelDir: string;
  readonly ggufPath: string;
  /** Type of the matrices, default BF16; vectors are always F32. */
  readonly type?: GgufOutputType;
  readonly name?: string;
  readonly fsync?: boolean;
}

/** What llama.cpp divides rotary frequencies by, where they are scaled as in Llama 3. */
function ropeTensors({ ropeScaling, headDim, ropeTheta }: ModelConfig): GgufTensorToWrite[] {
  if (ropeScaling?.type !== 'llama3') return [];
  const factors = ropeFactors(ropeScaling, headDim, ropeTheta);

  const data = async function* (): AsyncGenerator<Uint8Array> {
    yield fromFloat32(factors, 'F32');
  };
  return [{ name: ROPE_FACTORS, type: 'F32', shape: [factors.length], data }];
}

/**
 * Writes a Hugging Face model folder as one GGUF file, with the names, keys and order of rows that llama.cpp reads.
 * @throws FormatError where llama.cpp would compute or split text otherwise than the folder says.
 */
export async function huggingFaceToGguf(options: HuggingFaceToGgufOptions): Promise<WrittenFile> {
  const { modelDir, ggufPath, type = 'BF16', name = basename(modelDir) } = options;
  const config = await readModelConfig(modelDir);
  const names = tensorNames(config);
  const model = await openSafetensorsModel(modelDir);
  const tensors = names.map(({ huggingFace, gguf, shape, permuted, offset }): GgufTensorToWrite => {
    const tensor = model.get(huggingFace);
    checkShape(tensor, shape);
    const file = model.fileOf(huggingFace);
    const conversion = { type: storedType(shape, type), headDim: permuted ? config.headDim : undefined, offset };
    return { name: gguf, type: conversion.type, shape, data: () => convertRows(file, tensor, conversion) };
  });
  const metadata = new Map<string, GgufEntry>([
    ...modelEntries(config),
    ['general.type', { type: 'string', value: 'model' }],
    ['general.name', { type: 'string', value: name }],
    ['general.file_type', { type: 'uint32', value: GGUF_FILE_TYPE[type] }],
    ['general.quantization_version', { type: 'uint32', value: 2 }],
    ...(await huggingFaceTokenizerEntries(modelDir, config)),
  ]);
  return writeGguf(ggufPath, metadata, [...tensors, ...ropeTensors(config)], { fsync: options.fsync ?? false });
}
