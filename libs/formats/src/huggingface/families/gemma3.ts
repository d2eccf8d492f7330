import { parseLayeredRope } from '../rope.js';
import type { ModelFamily } from './family.js';
import { formatGemma, GEMMA_DEFAULTS, gemmaBlocks } from './gemma2.js';
import { slidingLayers } from './layer-types.js';

/** Gemma 3, text only: norms of queries and keys, five sliding layers of an own rotary base to a full one. */
export const gemma3: ModelFamily = {
  modelType: 'gemma3_text',
  architecture: 'Gemma3ForCausalLM',
  defaults: { ...GEMMA_DEFAULTS, max_position_embeddings: 131_072, sliding_window_pattern: 6 },
  settings: [
    'attention_bias',
    'sliding_window',
    'sliding_window_pattern',
    'layer_types',
    'query_pre_attn_scalar',
    'final_logit_softcapping',
    'rope_local_base_freq',
  ],
  activationField: 'hidden_activation',
  blocks: (fields) => {
    const pattern = fields.sliding_window_pattern ?? 6;
    return {
      ...parseLayeredRope(fields, { theta: 1_000_000, localTheta: 10_000 }),
      ...gemmaBlocks(fields),
      ...slidingLayers(fields, fields.sliding_window, (layer) => (layer + 1) % pattern !== 0),
      queryKeyNorms: true,
    };
  },
  format: (config) => ({ ...formatGemma(config), rope_local_base_freq: config.localRopeTheta ?? config.ropeTheta }),
};
