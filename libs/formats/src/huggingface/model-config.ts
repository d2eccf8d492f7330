import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { FormatError } from '../format-error.js';

const CONFIG_BYTES_MAX = 1_000_000;
const size = z
  .int()
  .positive()
  .max(2 ** 31);
const tokenId = z.int().nonnegative();

/** Fields of `config.json` for the Llama family, in transformers' spelling and with its defaults. */
const llamaConfigSchema = z.object({
  architectures: z.array(z.string()).default(['LlamaForCausalLM']),
  model_type: z.literal('llama'),
  vocab_size: size,
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size.max(10_000),
  num_attention_heads: size,
  num_key_value_heads: size.optional(),
  head_dim: size.nullish(),
  max_position_embeddings: size.default(2048),
  rms_norm_eps: z.number().positive().default(1e-6),
  rope_theta: z.number().positive().default(10_000),
  tie_word_embeddings: z.boolean().default(false),
  bos_token_id: tokenId.nullish(),
  eos_token_id: z.union([tokenId, z.array(tokenId).min(1)]).nullish(),
  pad_token_id: z.int().nullish(),
  hidden_act: z.string().default('silu'),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  rope_scaling: z.unknown().optional(),
  rope_parameters: z.unknown().optional(),
  quantization_config: z.unknown().optional(),
  torch_dtype: z.string().nullish(),
  dtype: z.string().nullish(),
});

/** A Llama-family model as the runtimes understand it; every default is filled in. */
export interface ModelConfig {
  readonly architecture: 'LlamaForCausalLM';
  readonly modelType: 'llama';
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly attentionHeads: number;
  readonly keyValueHeads: number;
  readonly headDim: number;
  readonly maxPositionEmbeddings: number;
  readonly rmsNormEps: number;
  readonly ropeTheta: number;
  readonly tieWordEmbeddings: boolean;
  readonly bosTokenId?: number;
  /** One or several; generation ends at any of them. */
  readonly eosTokenIds: readonly number[];
  readonly padTokenId?: number;
}

function unsupported(field: string, why: string): FormatError {
  return new FormatError('format.unsupported', `config.json: ${field} ${why}`, { field });
}

/** `rope_parameters` is where transformers 5 writes what used to be `rope_theta` and `rope_scaling`. */
function ropeTheta(config: z.output<typeof llamaConfigSchema>): number {
  const plain = (value: unknown): boolean => value === null || value === undefined;
  const parse = (field: 'rope_scaling' | 'rope_parameters'): number | undefined => {
    const value = config[field];
    if (plain(value)) return undefined;
    const parsed = z
      .looseObject({
        rope_type: z.string().optional(),
        type: z.string().optional(),
        rope_theta: z.number().positive().optional(),
      })
      .safeParse(value);
    const kind = parsed.success ? (parsed.data.rope_type ?? parsed.data.type ?? 'default') : 'unknown';
    if (kind !== 'default')
      throw unsupported(field, `of type "${kind}" is not supported yet; use a model without position scaling.`);
    return parsed.data?.rope_theta;
  };
  parse('rope_scaling');
  return parse('rope_parameters') ?? config.rope_theta;
}

/** Checks a parsed `config.json`. Refuses what the runtimes would compute wrongly, naming the field. */
export function parseModelConfig(value: unknown): ModelConfig {
  const modelType = z.object({ model_type: z.string() }).safeParse(value);
  if (!modelType.success)
    throw new FormatError('format.malformed', 'config.json has no model_type.', { field: 'model_type' });
  if (modelType.data.model_type !== 'llama') {
    throw unsupported('model_type', `"${modelType.data.model_type}" is not supported; supported: llama.`);
  }
  const parsed = llamaConfigSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const field = issue?.path.join('.') ?? '';
    throw new FormatError('format.malformed', `config.json: ${field}: ${issue?.message ?? 'not valid'}`, { field });
  }
  const config = parsed.data;
  if (!config.architectures.includes('LlamaForCausalLM'))
    throw unsupported('architectures', `${config.architectures.join(', ')} is not supported.`);
  if (config.hidden_act !== 'silu')
    throw unsupported('hidden_act', `"${config.hidden_act}" is not supported; supported: silu.`);
  if (config.attention_bias) throw unsupported('attention_bias', 'is not supported.');
  if (config.mlp_bias) throw unsupported('mlp_bias', 'is not supported.');
  if (config.quantization_config)
    throw unsupported('quantization_config', 'is not supported; use the unquantised weights.');
  const keyValueHeads = config.num_key_value_heads ?? config.num_attention_heads;
  const headDim = config.head_dim ?? config.hidden_size / config.num_attention_heads;
  if (!Number.isInteger(headDim) || headDim % 2 !== 0)
    throw unsupported('head_dim', `${headDim} is not an even whole number.`);
  if (config.num_attention_heads % keyValueHeads !== 0)
    throw unsupported('num_key_value_heads', 'does not divide num_attention_heads.');
  const { bos_token_id: bos, eos_token_id: eos, pad_token_id: pad } = config;
  return {
    architecture: 'LlamaForCausalLM',
    modelType: 'llama',
    vocabSize: config.vocab_size,
    hiddenSize: config.hidden_size,
    intermediateSize: config.intermediate_size,
    layers: config.num_hidden_layers,
    attentionHeads: config.num_attention_heads,
    keyValueHeads,
    headDim,
    maxPositionEmbeddings: config.max_position_embeddings,
    rmsNormEps: config.rms_norm_eps,
    ropeTheta: ropeTheta(config),
    tieWordEmbeddings: config.tie_word_embeddings,
    ...(bos !== null && bos !== undefined && { bosTokenId: bos }),
    eosTokenIds: eos === null || eos === undefined ? [] : typeof eos === 'number' ? [eos] : eos,
    ...(pad !== null && pad !== undefined && pad >= 0 && { padTokenId: pad }),
  };
}

/** The `config.json` content of a model, as transformers reads it. */
export function formatModelConfig(
  config: ModelConfig,
  dtype: 'bfloat16' | 'float16' | 'float32' = 'bfloat16',
): Record<string, unknown> {
  const [firstEos] = config.eosTokenIds;
  return {
    architectures: [config.architecture],
    attention_bias: false,
    attention_dropout: 0,
    bos_token_id: config.bosTokenId ?? null,
    eos_token_id: config.eosTokenIds.length > 1 ? [...config.eosTokenIds] : (firstEos ?? null),
    head_dim: config.headDim,
    hidden_act: 'silu',
    hidden_size: config.hiddenSize,
    initializer_range: 0.02,
    intermediate_size: config.intermediateSize,
    max_position_embeddings: config.maxPositionEmbeddings,
    mlp_bias: false,
    model_type: config.modelType,
    num_attention_heads: config.attentionHeads,
    num_hidden_layers: config.layers,
    num_key_value_heads: config.keyValueHeads,
    pad_token_id: config.padTokenId ?? null,
    rms_norm_eps: config.rmsNormEps,
    rope_scaling: null,
    rope_theta: config.ropeTheta,
    tie_word_embeddings: config.tieWordEmbeddings,
    torch_dtype: dtype,
    use_cache: true,
    vocab_size: config.vocabSize,
  };
}

/** Reads a JSON file with a size limit. */
export async function readJsonFile(path: string, bytesMax: number): Promise<unknown> {
  const { size: sizeBytes } = await stat(path);
  if (sizeBytes > bytesMax)
    throw new FormatError('format.too-large', `${path} has ${sizeBytes} bytes; the limit is ${bytesMax}.`, { path });
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new FormatError('format.malformed', `${path} is not valid JSON.`, { path }, { cause });
  }
}

/** Reads and checks `<dir>/config.json`. */
export async function readModelConfig(dir: string): Promise<ModelConfig> {
  return parseModelConfig(await readJsonFile(join(dir, 'config.json'), CONFIG_BYTES_MAX));
}
