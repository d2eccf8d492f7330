import { parseRope } from '../rope.js';
import type { ModelFamily } from './family.js';
import { formatQwenSliding, QWEN_DEFAULTS, qwenSliding } from './qwen2.js';

/** Qwen 3, dense: norms of queries and keys instead of biases, a head size of its own. */
export const qwen3: ModelFamily = {
  modelType: 'qwen3',
  architecture: 'Qwen3ForCausalLM',
  defaults: { ...QWEN_DEFAULTS, head_dim: 128 },
  settings: ['attention_bias', 'sliding_window', 'use_sliding_window', 'layer_types'],
  activationField: 'hidden_act',
  blocks: (fields) => ({
    ...parseRope(fields, 10_000),
    ...qwenSliding(fields),
    queryKeyValueBias: fields.attention_bias,
    outputBias: fields.attention_bias,
    queryKeyNorms: true,
  }),
  format: (config) => ({ ...formatQwenSliding(config), attention_bias: config.queryKeyValueBias }),
};
