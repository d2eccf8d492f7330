import type { BlockSwitches } from '../block-switches.js';
import type { ConfigFields } from '../config-fields.js';
import { unsupported } from '../config-fields.js';
import type { ModelConfig } from '../model-config.js';

const FULL = 'full_attention';
const SLIDING = 'sliding_attention';

/**
 * Which layers see a sliding window only: those that `layer_types` names, or else those that `slides` chooses.
 * @throws FormatError when `layer_types` is not one known name for each layer, or when no window is set.
 */
export function slidingLayers(
  fields: ConfigFields,
  window: number | null | undefined,
  slides: (layer: number) => boolean,
): Pick<BlockSwitches, 'slidingWindow' | 'slidingLayers'> {
  const layers = Array.from({ length: fields.num_hidden_layers }, (_, layer) => layer);
  const types = fields.layer_types ?? layers.map((layer) => (slides(layer) ? SLIDING : FULL));
  if (types.length !== layers.length)
    throw unsupported('layer_types', `names ${types.length} layers of ${layers.length}; name each layer once.`);
  const unknown = types.find((type) => type !== FULL && type !== SLIDING);
  if (unknown !== undefined)
    throw unsupported('layer_types', `"${unknown}" is not supported; supported: ${FULL}, ${SLIDING}.`);
  const sliding = layers.filter((layer) => types[layer] === SLIDING);
  if (sliding.length === 0) return { slidingLayers: [] };
  if (typeof window !== 'number')
    throw unsupported('layer_types', 'names sliding layers, but no window is set; set sliding_window.');
  return { slidingLayers: sliding, slidingWindow: window };
}

export function formatLayerTypes(config: ModelConfig): string[] {
  const sliding = new Set(config.slidingLayers);
  return Array.from({ length: config.layers }, (_, layer) => (sliding.has(layer) ? SLIDING : FULL));
}
