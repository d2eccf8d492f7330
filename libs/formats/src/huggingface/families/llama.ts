import { parseRope } from '../rope.js';
import type { ModelFamily } from './family.js';

/** Llama 2 and 3, and who copies them: SmolLM2, TinyLlama. */
export const llama: ModelFamily = {
  modelType: 'llama',
  architecture: 'LlamaForCausalLM',
  defaults: { max_position_embeddings: 2048, tie_word_embeddings: false, bos_token_id: 1, eos_token_id: 2 },
  settings: ['attention_bias', 'mlp_bias'],
  activationField: 'hidden_act',
  blocks: (fields) => ({
    ...parseRope(fields, 10_000),
    queryKeyValueBias: fields.attention_bias,
    outputBias: fields.attention_bias,
    mlpBias: fields.mlp_bias,
  }),
  format: (config) => ({ attention_bias: config.queryKeyValueBias, mlp_bias: config.mlpBias }),
};
