import type { BlockSwitches } from '../block-switches.js';
import type { ConfigFields } from '../config-fields.js';
import type { ModelConfig } from '../model-config.js';
import { parseRope } from '../rope.js';
import type { ModelFamily } from './family.js';
import { formatLayerTypes, slidingLayers } from './layer-types.js';

export const QWEN_DEFAULTS = {
  max_position_embeddings: 32_768,
  num_key_value_heads: 32,
  tie_word_embeddings: false,
  use_sliding_window: false,
  sliding_window: 4096,
  max_window_layers: 28,
} as const satisfies Partial<ConfigFields>;

/** The first max_window_layers see everything, the others a window, if use_sliding_window is set. */
export function qwenSliding(fields: ConfigFields): Pick<BlockSwitches, 'slidingWindow' | 'slidingLayers'> {
  const window = fields.use_sliding_window ? fields.sliding_window : undefined;
  const first = fields.max_window_layers ?? 0;
  return slidingLayers(fields, window, (layer) => typeof window === 'number' && layer >= first);
}

export const formatQwenSliding = (config: ModelConfig): Record<string, unknown> => ({
  use_sliding_window: config.slidingWindow !== undefined,
  sliding_window: config.slidingWindow ?? null,
  max_window_layers: config.slidingLayers[0] ?? config.layers,
  layer_types: formatLayerTypes(config),
});

/** Qwen 2 and 2.5: biases of queries, keys and values. */
export const qwen2: ModelFamily = {
  modelType: 'qwen2',
  architecture: 'Qwen2ForCausalLM',
  defaults: QWEN_DEFAULTS,
  settings: ['sliding_window', 'use_sliding_window', 'layer_types'],
  activationField: 'hidden_act',
  blocks: (fields) => ({ ...parseRope(fields, 10_000), ...qwenSliding(fields), queryKeyValueBias: true }),
  format: formatQwenSliding,
};
