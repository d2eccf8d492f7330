import { parseRope } from '../rope.js';
import type { ModelFamily } from './family.js';

/** Mistral 7B: Llama's blocks, all layers behind one sliding window or none. */
export const mistral: ModelFamily = {
  modelType: 'mistral',
  architecture: 'MistralForCausalLM',
  defaults: {
    max_position_embeddings: 131_072,
    num_key_value_heads: 8,
    tie_word_embeddings: false,
    bos_token_id: 1,
    eos_token_id: 2,
    sliding_window: 4096,
  },
  settings: ['sliding_window'],
  activationField: 'hidden_act',
  blocks: (fields) => ({
    ...parseRope(fields, 10_000),
    ...(typeof fields.sliding_window === 'number' && {
      slidingWindow: fields.sliding_window,
      slidingLayers: Array.from({ length: fields.num_hidden_layers }, (_, layer) => layer),
    }),
  }),
  format: (config) => ({ sliding_window: config.slidingWindow ?? null }),
};
