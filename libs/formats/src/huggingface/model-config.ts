import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { FormatError } from '../format-error.js';
import type { BlockSwitches } from './block-switches.js';
import { LLAMA_BLOCKS } from './block-switches.js';
import type { ConfigFields } from './config-fields.js';
import { configFields, parseFields, unsupported } from './config-fields.js';
import { familyOf, MODEL_TYPES } from './families/families.js';
import { OPTIONAL_SETTINGS } from './families/family.js';
import type { ModelFamily } from './families/family.js';
import { formatRopeScaling } from './rope.js';

const CONFIG_BYTES_MAX = 1_000_000;
const ACTIVATIONS = { silu: 'silu', gelu_pytorch_tanh: 'gelu-tanh' } as const;

/** A decoder-only model as the runtimes understand it; every default is filled in. */
export interface ModelConfig extends BlockSwitches {
  /** As in `config.json`, e.g. `LlamaForCausalLM`. */
  readonly architecture: string;
  readonly modelType: string;
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

function findFamily(value: unknown): ModelFamily {
  const parsed = z.object({ model_type: z.string() }).safeParse(value);
  if (!parsed.success)
    throw new FormatError('format.malformed', 'config.json has no model_type.', { field: 'model_type' });
  const { model_type: modelType } = parsed.data;
  const family = familyOf(modelType);
  if (family) return family;
  const hint = modelType === 'gemma3' ? ' Take the text model out of it (gemma3_text), such as Gemma 3 1B.' : '';
  throw unsupported('model_type', `"${modelType}" is not supported; supported: ${MODEL_TYPES.join(', ')}.${hint}`);
}

function activationOf(fields: ConfigFields, field: ModelFamily['activationField']): BlockSwitches['activation'] {
  const name = fields[field] ?? '';
  if (Object.hasOwn(ACTIVATIONS, name)) return ACTIVATIONS[name as keyof typeof ACTIVATIONS];
  throw unsupported(field, `"${name}" is not supported; supported: ${Object.keys(ACTIVATIONS).join(', ')}.`);
}

function isNeutral(fields: ConfigFields, setting: (typeof OPTIONAL_SETTINGS)[number]): boolean {
  const value = fields[setting];
  if (value === undefined || value === null || value === false) return true;
  if (setting === 'sliding_window') return fields.use_sliding_window === false;
  return setting === 'layer_types' && (value as string[]).every((type) => type === 'full_attention');
}

/** Refuses what would be computed wrongly. */
function checkSettings(fields: ConfigFields, family: ModelFamily): void {
  const { architectures } = fields;
  if (architectures && !architectures.includes(family.architecture))
    throw unsupported(
      'architectures',
      `${architectures.join(', ')} is not supported; supported: ${family.architecture}.`,
    );
  for (const setting of OPTIONAL_SETTINGS)
    if (!family.settings.includes(setting) && !isNeutral(fields, setting))
      throw unsupported(setting, `is set, which ${family.modelType} does not have; remove it.`);
  if (fields.quantization_config)
    throw unsupported('quantization_config', 'is not supported; use the unquantised weights.');
  if (fields.use_bidirectional_attention)
    throw unsupported('use_bidirectional_attention', 'is not supported; use a causal model.');
}

/** Checks a parsed `config.json`. Refuses what the runtimes would compute wrongly, naming the field. */
export function parseModelConfig(value: unknown): ModelConfig {
  const family = findFamily(value);
  const fields = parseFields(configFields, { ...family.defaults, ...(value as object) });
  checkSettings(fields, family);
  const keyValueHeads = fields.num_key_value_heads ?? fields.num_attention_heads;
  const headDim = fields.head_dim ?? fields.hidden_size / fields.num_attention_heads;
  if (!Number.isInteger(headDim) || headDim % 2 !== 0)
    throw unsupported('head_dim', `${headDim} is not an even whole number.`);
  if (fields.num_attention_heads % keyValueHeads !== 0)
    throw unsupported('num_key_value_heads', `${keyValueHeads} does not divide num_attention_heads.`);
  const { bos_token_id: bos, eos_token_id: eos, pad_token_id: pad } = fields;
  return {
    architecture: family.architecture,
    modelType: family.modelType,
    vocabSize: fields.vocab_size,
    hiddenSize: fields.hidden_size,
    intermediateSize: fields.intermediate_size,
    layers: fields.num_hidden_layers,
    attentionHeads: fields.num_attention_heads,
    keyValueHeads,
    headDim,
    maxPositionEmbeddings: fields.max_position_embeddings,
    rmsNormEps: fields.rms_norm_eps,
    tieWordEmbeddings: fields.tie_word_embeddings,
    ...(bos !== null && bos !== undefined && { bosTokenId: bos }),
    eosTokenIds: eos === null || eos === undefined ? [] : typeof eos === 'number' ? [eos] : eos,
    ...(pad !== null && pad !== undefined && pad >= 0 && { padTokenId: pad }),
    ...LLAMA_BLOCKS,
    activation: activationOf(fields, family.activationField),
    ...family.blocks(fields),
  };
}

/** The `config.json` content of a model, as every version of transformers reads it; `configText` writes it. */
export function formatModelConfig(
  config: ModelConfig,
  dtype: 'bfloat16' | 'float16' | 'float32' = 'bfloat16',
): Record<string, unknown> {
  const family = familyOf(config.modelType);
  if (!family)
    throw unsupported('model_type', `"${config.modelType}" is not supported; supported: ${MODEL_TYPES.join(', ')}.`);
  const [firstEos] = config.eosTokenIds;
  return {
    architectures: [config.architecture],
    attention_dropout: 0,
    bos_token_id: config.bosTokenId ?? null,
    eos_token_id: config.eosTokenIds.length > 1 ? [...config.eosTokenIds] : (firstEos ?? null),
    head_dim: config.headDim,
    [family.activationField]: config.activation === 'silu' ? 'silu' : 'gelu_pytorch_tanh',
    hidden_size: config.hiddenSize,
    initializer_range: 0.02,
    intermediate_size: config.intermediateSize,
    max_position_embeddings: config.maxPositionEmbeddings,
    model_type: config.modelType,
    num_attention_heads: config.attentionHeads,
    num_hidden_layers: config.layers,
    num_key_value_heads: config.keyValueHeads,
    pad_token_id: config.padTokenId ?? null,
    rms_norm_eps: config.rmsNormEps,
    rope_scaling: formatRopeScaling(config.ropeScaling),
    rope_theta: config.ropeTheta,
    tie_word_embeddings: config.tieWordEmbeddings,
    torch_dtype: dtype,
    use_cache: true,
    vocab_size: config.vocabSize,
    ...family.format(config),
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
