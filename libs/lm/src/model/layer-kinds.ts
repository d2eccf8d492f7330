import type { ModelConfig } from '@luthier/formats';

/** Layers of all kinds have one graph; they differ in the mask and the rotary table that they are fed. */
export type LayerKind = 'full' | 'sliding';

export const layerKind = ({ slidingLayers }: ModelConfig, layer: number): LayerKind =>
  slidingLayers.includes(layer) ? 'sliding' : 'full';

/** The kinds that a model has. */
export function layerKinds(config: ModelConfig): LayerKind[] {
  const sliding = new Set(config.slidingLayers).size;
  return [...(sliding < config.layers ? ['full' as const] : []), ...(sliding > 0 ? ['sliding' as const] : [])];
}

/** Name of an input that layers of this kind share, in a graph of all layers. */
export function kindInput(config: ModelConfig, kind: LayerKind, name: 'mask' | 'cosines' | 'sines'): string {
  const own = kind === 'sliding' && (name === 'mask' || config.localRopeTheta !== undefined);
  return own ? `sliding.${name}` : name;
}
