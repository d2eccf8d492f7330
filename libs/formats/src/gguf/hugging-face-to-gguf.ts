import { basename } from 'node:path';
import { FormatError } from '../format-error.js';
import { readModelConfig } from '../huggingface/model-config.js';
import type { ModelConfig } from '../huggingface/model-config.js';
import { parseLoraTensorName } from '../peft/lora-names.js';
import { loraScale, openPeftAdapter } from '../peft/peft-adapter.js';
import { elementCount, SAFETENSORS_DTYPE_SIZE_BYTES } from '../safetensors/dtype.js';
import { fromFloat32, toFloat32 } from '../safetensors/float.js';
import type { SafetensorsTensor } from '../safetensors/header.js';
import type { SafetensorsFile } from '../safetensors/read-safetensors.js';
import { openSafetensorsModel } from '../safetensors/safetensors-model.js';
import type { WrittenFile } from '../safetensors/write-safetensors.js';
import { GGUF_FILE_TYPE, GGUF_TENSOR_TYPES } from './gguf-types.js';
import { huggingFaceTokenizerEntries } from './hugging-face-tokenizer.js';
import { llamaTensorNames, llamaTensorShape, permuteRows } from './llama-names.js';
import { quantiseQ8 } from './quants/quantise-q8.js';
import { writeGguf } from './write-gguf.js';
import type { GgufEntry, GgufTensorToWrite } from './write-gguf.js';

/** Types in which matrices can be written. */
export const GGUF_OUTPUT_TYPES = ['F32', 'F16', 'BF16', 'Q8_0'] as const;
export type GgufOutputType = (typeof GGUF_OUTPUT_TYPES)[number];

/** Vectors are F32; where rows are no whole blocks of Q8_0, they are F16, as llama.cpp's own converter does it. */
function storedType(shape: readonly number[], type: GgufOutputType): GgufOutputType {
  if (shape.length === 1) return 'F32';
  return type === 'Q8_0' && (shape.at(-1) ?? 0) % GGUF_TENSOR_TYPES.Q8_0.blockElements !== 0 ? 'F16' : type;
}

const encode = (values: Float32Array, type: GgufOutputType): Uint8Array =>
  type === 'Q8_0' ? quantiseQ8(values) : fromFloat32(values, type);

const CHUNK_ELEMENTS = 1 << 20;

/** The tensor's rows in GGUF order, converted a piece at a time. `headDim` is set where rows are permuted. */
async function* convertRows(
  file: Pick<SafetensorsFile, 'readRange'>,
  tensor: SafetensorsTensor,
  type: GgufOutputType,
  headDim: number | undefined,
): AsyncGenerator<Uint8Array> {
  const count = elementCount(tensor.shape) ?? 0;
  const columns = tensor.shape.length > 1 ? (tensor.shape[1] ?? 1) : count;
  const unit = columns * (headDim ?? 1);
  const step = Math.max(unit, Math.floor(CHUNK_ELEMENTS / unit) * unit);
  const elementBytes = SAFETENSORS_DTYPE_SIZE_BYTES[tensor.dtype];
  for (let first = 0; first < count; first += step) {
    const last = Math.min(count, first + step);
    const bytes = await file.readRange(tensor.name, first * elementBytes, last * elementBytes);
    if (tensor.dtype === type && headDim === undefined) {
      yield bytes;
      continue;
    }
    const values = toFloat32(bytes, tensor.dtype);
    yield encode(headDim === undefined ? values : permuteRows(values, headDim, columns), type);
  }
}

/** llama.cpp would refuse it later with no word about which tensor, or read beside it. */
function checkShape({ name, shape }: SafetensorsTensor, expected: readonly number[]): void {
  if (shape.join() === expected.join()) return;
  throw new FormatError('format.malformed', `"${name}" is [${shape.join(', ')}], expected [${expected.join(', ')}].`, {
    tensor: name,
  });
}

/** llama.cpp would read other blocks as plain ones, without a word. */
function refuseOtherBlocks(config: ModelConfig): void {
  const other = [
    ...(config.modelType === 'llama' ? [] : [config.modelType]),
    ...(config.ropeScaling ? ['rope scaling'] : []),
    ...(config.queryKeyValueBias || config.outputBias || config.mlpBias ? ['biases'] : []),
    ...(config.activation === 'silu' ? [] : [config.activation]),
  ];
  if (other.length > 0)
    throw new FormatError('format.unsupported', `GGUF output of models with ${other.join(', ')} is not supported.`, {
      modelType: config.modelType,
    });
}

function llamaEntries(config: ModelConfig, name: string, type: GgufOutputType): [string, GgufEntry][] {
  const uint32 = (key: string, value: number): [string, GgufEntry] => [key, { type: 'uint32', value }];
  return [
    ['general.architecture', { type: 'string', value: 'llama' }],
    ['general.type', { type: 'string', value: 'model' }],
    ['general.name', { type: 'string', value: name }],
    uint32('general.file_type', GGUF_FILE_TYPE[type]),
    uint32('general.quantization_version', 2),
    uint32('llama.block_count', config.layers),
    uint32('llama.context_length', config.maxPositionEmbeddings),
    uint32('llama.embedding_length', config.hiddenSize),
    uint32('llama.feed_forward_length', config.intermediateSize),
    uint32('llama.attention.head_count', config.attentionHeads),
    uint32('llama.attention.head_count_kv', config.keyValueHeads),
    uint32('llama.attention.key_length', config.headDim),
    uint32('llama.attention.value_length', config.headDim),
    ['llama.attention.layer_norm_rms_epsilon', { type: 'float32', value: config.rmsNormEps }],
    ['llama.rope.freq_base', { type: 'float32', value: config.ropeTheta }],
    uint32('llama.rope.dimension_count', config.headDim),
    uint32('llama.vocab_size', config.vocabSize),
  ];
}

export interface HuggingFaceToGgufOptions {
  readonly modelDir: string;
  readonly ggufPath: string;
  /** Type of the matrices, default BF16; vectors are always F32. */
  readonly type?: GgufOutputType;
  readonly name?: string;
  readonly fsync?: boolean;
}

/** Writes a Hugging Face model folder of the Llama family as one GGUF file. */
export async function huggingFaceToGguf(options: HuggingFaceToGgufOptions): Promise<WrittenFile> {
  const { modelDir, ggufPath, type = 'BF16', name = basename(modelDir) } = options;
  const config = await readModelConfig(modelDir);
  refuseOtherBlocks(config);
  const model = await openSafetensorsModel(modelDir);
  const tensors = llamaTensorNames(config.layers, config.tieWordEmbeddings).map((entry): GgufTensorToWrite => {
    const tensor = model.get(entry.huggingFace);
    checkShape(tensor, llamaTensorShape(entry.huggingFace, config));
    const file = model.fileOf(entry.huggingFace);
    const target = storedType(tensor.shape, type);
    const headDim = entry.permuted ? config.headDim : undefined;
    return {
      name: entry.gguf,
      type: target,
      shape: tensor.shape,
      data: () => convertRows(file, tensor, target, headDim),
    };
  });
  const tokenizer = await huggingFaceTokenizerEntries(modelDir, config);
  const metadata = new Map([...llamaEntries(config, name, type), ...tokenizer]);
  return writeGguf(ggufPath, metadata, tensors, { fsync: options.fsync ?? false });
}

export interface PeftToGgufOptions {
  readonly adapterDir: string;
  /** Folder of the base model; its configuration says how rows of q and k are ordered. */
  readonly modelDir: string;
  readonly ggufPath: string;
  readonly name?: string;
  readonly fsync?: boolean;
}

const GGUF_MODULES = {
  q_proj: 'attn_q',
  k_proj: 'attn_k',
  v_proj: 'attn_v',
  o_proj: 'attn_output',
  gate_proj: 'ffn_gate',
  up_proj: 'ffn_up',
  down_proj: 'ffn_down',
} as const;

/** Writes a PEFT LoRA adapter as a GGUF adapter (F32) for use beside the base model's GGUF file. */
export async function peftToGguf(options: PeftToGgufOptions): Promise<WrittenFile> {
  const { adapterDir, modelDir, ggufPath, name = basename(adapterDir) } = options;
  const base = await readModelConfig(modelDir);
  const { config, weights } = await openPeftAdapter(adapterDir);
  const tensors = [...weights.tensors.values()].map((tensor): GgufTensorToWrite => {
    const parsed = parseLoraTensorName(tensor.name);
    if (!parsed || parsed.layer >= base.layers)
      throw new FormatError('format.invalid-input', `"${tensor.name}" is not part of the base model.`, {
        tensor: tensor.name,
      });
    const [out = 0, inner = 0] = llamaTensorShape(parsed.module, base);
    checkShape(tensor, parsed.part === 'A' ? [config.rank, inner] : [out, config.rank]);
    // Only the output side is permuted: the rows of B are the rows of the product.
    const permuted = parsed.part === 'B' && (parsed.module === 'q_proj' || parsed.module === 'k_proj');
    const gguf = `blk.${parsed.layer}.${GGUF_MODULES[parsed.module]}.weight.lora_${parsed.part === 'A' ? 'a' : 'b'}`;
    return {
      name: gguf,
      type: 'F32',
      shape: tensor.shape,
      data: () => convertRows(weights, tensor, 'F32', permuted ? base.headDim : undefined),
    };
  });
  const metadata = new Map<string, GgufEntry>([
    ['general.architecture', { type: 'string', value: 'llama' }],
    ['general.type', { type: 'string', value: 'adapter' }],
    ['general.name', { type: 'string', value: name }],
    ['general.file_type', { type: 'uint32', value: GGUF_FILE_TYPE.F32 }],
    ['adapter.type', { type: 'string', value: 'lora' }],
    // llama.cpp scales by alpha/r; the product with r makes rsLoRA come out right as well.
    ['adapter.lora.alpha', { type: 'float32', value: loraScale(config) * config.rank }],
  ]);
  return writeGguf(ggufPath, metadata, tensors, { fsync: options.fsync ?? false });
}
