import { FormatError } from '../format-error.js';
import { parseModelConfig } from '../huggingface/model-config.js';
import type { ModelConfig } from '../huggingface/model-config.js';
import { formatRopeScaling } from '../huggingface/rope.js';
import { architectureNamed } from './architectures.js';
import type { GgufFile } from './read-gguf.js';
import { ROPE_FACTORS, scalingOfFactors } from './rope-factors.js';

function optionalNumber(gguf: GgufFile, key: string): number | undefined {
  const value = gguf.metadata.get(key);
  return typeof value === 'number' ? value : undefined;
}

/** GGUF stores 32-bit floats; seven digits give back the number that was meant (1e-5, not 0.0000099999997). */
const meant = (value: number): number => Number(value.toPrecision(7));

/** `rope_scaling` as config.json has it; null where nothing is scaled. */
async function ropeScaling(gguf: GgufFile, prefix: string, headDim: number, ropeTheta: number): Promise<unknown> {
  if (gguf.tensors.has(ROPE_FACTORS))
    return formatRopeScaling(scalingOfFactors(await gguf.readFloat32(ROPE_FACTORS), { headDim, ropeTheta }));
  const type = gguf.metadata.get(`${prefix}.rope.scaling.type`);
  const older = optionalNumber(gguf, `${prefix}.rope.scale_linear`);
  if (older !== undefined && older !== 1) return { rope_type: 'linear', factor: meant(older) };
  if (type === undefined || type === 'none') return null;
  if (type !== 'linear')
    throw new FormatError('format.unsupported', `GGUF models with rope scaling "${String(type)}" are not supported.`, {
      key: `${prefix}.rope.scaling.type`,
    });
  return { rope_type: 'linear', factor: meant(gguf.number(`${prefix}.rope.scaling.factor`)) };
}

/** What llama.cpp takes where a file does not say: the first ones of Gemma 2 were made before there were keys for it. */
const GEMMA2_DEFAULTS = { window: 4_096, attentionCap: 50, logitCap: 30 };

/** What a family adds to the fields that all have. */
function familyFields(gguf: GgufFile, prefix: string): Record<string, unknown> {
  if (prefix === 'llama')
    return {
      attention_bias: gguf.tensors.has('blk.0.attn_q.bias'),
      mlp_bias: gguf.tensors.has('blk.0.ffn_up.bias'),
    };
  if (!prefix.startsWith('gemma')) return {};
  const given = (key: string): number | undefined => optionalNumber(gguf, `${prefix}.${key}`);
  if (prefix === 'gemma2')
    return {
      sliding_window: given('attention.sliding_window') ?? GEMMA2_DEFAULTS.window,
      final_logit_softcapping: given('final_logit_softcapping') ?? GEMMA2_DEFAULTS.logitCap,
      attn_logit_softcapping: given('attn_logit_softcapping') ?? GEMMA2_DEFAULTS.attentionCap,
    };
  return {
    sliding_window: gguf.number(`${prefix}.attention.sliding_window`),
    final_logit_softcapping: given('final_logit_softcapping') ?? null,
  };
}

/** Queries are scaled by the root of headDim, in the largest Gemma (46 and 62 layers) by that of hiddenSize per head. */
function queryScale(
  prefix: string,
  config: { layers: number; hidden: number; heads: number; headDim: number },
): object {
  if (!prefix.startsWith('gemma')) return {};
  const largest = config.layers === (prefix === 'gemma2' ? 46 : 62);
  return { query_pre_attn_scalar: largest ? config.hidden / config.heads : config.headDim };
}

/**
 * The model's configuration from GGUF metadata.
 * @throws FormatError for architectures, scalings and settings that are not read.
 */
export async function ggufModelConfig(gguf: GgufFile): Promise<ModelConfig> {
  const { name: prefix, modelType } = architectureNamed(gguf.string('general.architecture'));
  const key = (name: string): string => `${prefix}.${name}`;
  const heads = gguf.number(key('attention.head_count'));
  const hidden = gguf.number(key('embedding_length'));
  const layers = gguf.number(key('block_count'));
  const headDim =
    optionalNumber(gguf, key('attention.key_length')) ??
    optionalNumber(gguf, key('rope.dimension_count')) ??
    hidden / heads;
  const rotated = optionalNumber(gguf, key('rope.dimension_count')) ?? headDim;
  if (rotated !== headDim)
    throw new FormatError(
      'format.unsupported',
      `GGUF: only ${rotated} of ${headDim} dimensions of a head are rotated.`,
      {
        key: key('rope.dimension_count'),
      },
    );
  const ropeTheta = optionalNumber(gguf, key('rope.freq_base')) ?? 10_000;
  const [vocabSize] = gguf.get('token_embd.weight').shape;
  return parseModelConfig({
    model_type: modelType,
    vocab_size: vocabSize,
    hidden_size: hidden,
    intermediate_size: gguf.number(key('feed_forward_length')),
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: optionalNumber(gguf, key('attention.head_count_kv')) ?? heads,
    head_dim: headDim,
    max_position_embeddings: gguf.number(key('context_length')),
    rms_norm_eps: meant(gguf.number(key('attention.layer_norm_rms_epsilon'))),
    rope_theta: ropeTheta,
    rope_scaling: await ropeScaling(gguf, prefix, headDim, ropeTheta),
    tie_word_embeddings: !gguf.tensors.has('output.weight'),
    bos_token_id: optionalNumber(gguf, 'tokenizer.ggml.bos_token_id') ?? null,
    eos_token_id: optionalNumber(gguf, 'tokenizer.ggml.eos_token_id') ?? null,
    pad_token_id: optionalNumber(gguf, 'tokenizer.ggml.padding_token_id') ?? null,
    ...familyFields(gguf, prefix),
    ...queryScale(prefix, { layers, hidden, heads, headDim }),
  });
}
