import type { BlockSwitches } from '../block-switches.js';
import type { ConfigFields } from '../config-fields.js';
import type { ModelConfig } from '../model-config.js';
import { parseRope } from '../rope.js';
import type { ModelFamily } from './family.js';
import { formatLayerTypes, slidingLayers } from './layer-types.js';

export const GEMMA_DEFAULTS = {
  num_key_value_heads: 4,
  head_dim: 256,
  tie_word_embeddings: true,
  hidden_activation: 'gelu_pytorch_tanh',
  bos_token_id: 2,
  eos_token_id: 1,
  pad_token_id: 0,
  query_pre_attn_scalar: 256,
  sliding_window: 4096,
} as const satisfies Partial<ConfigFields>;

const cap = <K extends string>(name: K, value: number | null | undefined): Partial<Record<K, number>> =>
  typeof value === 'number' ? ({ [name]: value } as Record<K, number>) : {};

/** What Gemma 2 and 3 have in common. */
export function gemmaBlocks(fields: ConfigFields): Partial<BlockSwitches> {
  return {
    queryKeyValueBias: fields.attention_bias,
    outputBias: fields.attention_bias,
    sandwichNorms: true,
    normWeightOffset: 1,
    scaledEmbeddings: true,
    ...cap('queryPreAttentionScalar', fields.query_pre_attn_scalar),
    ...cap('logitSoftCap', fields.final_logit_softcapping),
  };
}

export const formatGemma = (config: ModelConfig): Record<string, unknown> => ({
  attention_bias: config.queryKeyValueBias,
  query_pre_attn_scalar: config.queryPreAttentionScalar ?? config.headDim,
  final_logit_softcapping: config.logitSoftCap ?? null,
  attn_logit_softcapping: config.attentionSoftCap ?? null,
  sliding_window: config.slidingWindow ?? null,
  layer_types: formatLayerTypes(config),
});

/** Gemma 2: soft caps, every other layer behind a sliding window. */
export const gemma2: ModelFamily = {
  modelType: 'gemma2',
  architecture: 'Gemma2ForCausalLM',
  defaults: {
    ...GEMMA_DEFAULTS,
    max_position_embeddings: 8192,
    final_logit_softcapping: 30,
    attn_logit_softcapping: 50,
  },
  settings: [
    'attention_bias',
    'sliding_window',
    'layer_types',
    'query_pre_attn_scalar',
    'attn_logit_softcapping',
    'final_logit_softcapping',
  ],
  activationField: 'hidden_activation',
  blocks: (fields) => ({
    ...parseRope(fields, 10_000),
    ...gemmaBlocks(fields),
    ...slidingLayers(fields, fields.sliding_window, (layer) => layer % 2 === 0),
    ...cap('attentionSoftCap', fields.attn_logit_softcapping),
  }),
  format: formatGemma,
};
