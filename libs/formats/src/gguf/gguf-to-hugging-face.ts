import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError } from '../format-error.js';
import { configText } from '../huggingface/config-text.js';
import { formatModelConfig, parseModelConfig } from '../huggingface/model-config.js';
import type { ModelConfig } from '../huggingface/model-config.js';
import { fromFloat32 } from '../safetensors/float.js';
import { writeSafetensors } from '../safetensors/write-safetensors.js';
import type { TensorToWrite } from '../safetensors/write-safetensors.js';
import { ggufTokenizerFiles } from './gguf-tokenizer.js';
import { llamaTensorNames, llamaTensorShape, unpermuteRows } from './llama-names.js';
import { openGguf } from './read-gguf.js';
import type { GgufFile } from './read-gguf.js';

/** Elements converted at a time, so that memory does not grow with the largest tensor. */
const CHUNK_ELEMENTS = 1 << 20;

function optionalNumber(gguf: GgufFile, key: string): number | undefined {
  const value = gguf.metadata.get(key);
  return typeof value === 'number' ? value : undefined;
}

/** The model's configuration from GGUF metadata. Refuses other architectures and rope scaling. */
export function ggufModelConfig(gguf: GgufFile): ModelConfig {
  const architecture = gguf.string('general.architecture');
  if (architecture !== 'llama')
    throw new FormatError(
      'format.unsupported',
      `GGUF architecture "${architecture}" is not supported; supported: llama.`,
      { architecture },
    );
  const scaling = [...gguf.metadata.keys()].find(
    (key) => key.startsWith('llama.rope.scaling.') && gguf.metadata.get(key) !== 'none',
  );
  if (scaling !== undefined || gguf.tensors.has('rope_freqs.weight'))
    throw new FormatError('format.unsupported', 'GGUF models with rope scaling are not supported.', { key: scaling });
  const heads = gguf.number('llama.attention.head_count');
  const hidden = gguf.number('llama.embedding_length');
  const [vocabSize] = gguf.get('token_embd.weight').shape;
  return parseModelConfig({
    model_type: 'llama',
    vocab_size: vocabSize,
    hidden_size: hidden,
    intermediate_size: gguf.number('llama.feed_forward_length'),
    num_hidden_layers: gguf.number('llama.block_count'),
    num_attention_heads: heads,
    num_key_value_heads: optionalNumber(gguf, 'llama.attention.head_count_kv') ?? heads,
    head_dim: optionalNumber(gguf, 'llama.rope.dimension_count') ?? hidden / heads,
    max_position_embeddings: gguf.number('llama.context_length'),
    // GGUF stores 32-bit floats; seven digits give back the number that was meant (1e-5, not 0.0000099999997).
    rms_norm_eps: Number(gguf.number('llama.attention.layer_norm_rms_epsilon').toPrecision(7)),
    rope_theta: optionalNumber(gguf, 'llama.rope.freq_base') ?? 10_000,
    tie_word_embeddings: !gguf.tensors.has('output.weight'),
    bos_token_id: optionalNumber(gguf, 'tokenizer.ggml.bos_token_id') ?? null,
    eos_token_id: optionalNumber(gguf, 'tokenizer.ggml.eos_token_id') ?? null,
    pad_token_id: optionalNumber(gguf, 'tokenizer.ggml.padding_token_id') ?? null,
  });
}

async function* convertRows(gguf: GgufFile, name: string, headDim: number | undefined): AsyncGenerator<Uint8Array> {
  const { shape } = gguf.get(name);
  const rows = shape.length > 1 ? (shape[0] ?? 1) : 1;
  const columns = shape[shape.length - 1] ?? 1;
  const unit = headDim ?? 1;
  const step = Math.max(unit, Math.floor(CHUNK_ELEMENTS / columns / unit) * unit);
  for (let first = 0; first < rows; first += step) {
    const values = await gguf.readRows(name, first, Math.min(rows, first + step));
    yield fromFloat32(headDim === undefined ? values : unpermuteRows(values, headDim, columns), 'BF16');
  }
}

function modelTensors(gguf: GgufFile, config: ModelConfig): TensorToWrite[] {
  const names = llamaTensorNames(config.layers, config.tieWordEmbeddings);
  const known = new Set(names.map((name) => name.gguf));
  const unknown = [...gguf.tensors.keys()].find((name) => !known.has(name));
  if (unknown !== undefined)
    throw new FormatError(
      'format.unsupported',
      `The GGUF file holds tensor "${unknown}", which a Llama model does not have.`,
      { tensor: unknown },
    );
  return names.map((name) => {
    const { shape } = gguf.get(name.gguf);
    const expected = llamaTensorShape(name.huggingFace, config);
    if (shape.join() !== expected.join()) {
      throw new FormatError(
        'format.malformed',
        `GGUF tensor "${name.gguf}" is [${shape.join(', ')}], expected [${expected.join(', ')}].`,
        { tensor: name.gguf },
      );
    }
    const headDim = name.permuted ? config.headDim : undefined;
    return { name: name.huggingFace, dtype: 'BF16', shape, data: () => convertRows(gguf, name.gguf, headDim) };
  });
}

/**
 * Converts a GGUF model of the Llama architecture to a Hugging Face folder: BF16 weights, configuration, tokenizer and
 * chat template. Quantised weights are dequantised: the result is what the file computes, not the original checkpoint.
 */
export async function ggufToHuggingFace(options: {
  readonly ggufPath: string;
  readonly outDir: string;
  readonly fsync?: boolean;
}): Promise<ModelConfig> {
  const gguf = await openGguf(options.ggufPath);
  const config = ggufModelConfig(gguf);
  const files: Record<string, unknown> = {
    'config.json': formatModelConfig(config, 'bfloat16'),
    'generation_config.json': {
      _from_model_config: true,
      bos_token_id: config.bosTokenId ?? null,
      eos_token_id: config.eosTokenIds[0] ?? null,
      pad_token_id: config.padTokenId ?? null,
    },
    ...ggufTokenizerFiles(gguf, config),
  };
  const tensors = modelTensors(gguf, config);
  await mkdir(options.outDir, { recursive: true });
  await writeSafetensors(
    join(options.outDir, 'model.safetensors'),
    tensors,
    { format: 'pt' },
    { fsync: options.fsync ?? false },
  );
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(options.outDir, name), `${configText(content)}\n`, {
      flush: options.fsync ?? false,
    });
  }
  return config;
}
