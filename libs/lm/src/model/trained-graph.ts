import type { ModelConfig } from '@luthier/formats';
import type { EngineFeeds } from './engine-feeds.js';
import type { TrainedGraph } from './layer-tensors.js';
import { LoraAdapter } from './lora.js';
import type { TrainedWeights } from './trained-weights.js';

export const withoutDropout = (trained: TrainedGraph): TrainedGraph =>
  trained.lora ? { ...trained, lora: { ...trained.lora, dropout: false } } : trained;

/** What of a model is trained, as its graphs see it. */
export function trainedGraph(
  feeds: EngineFeeds,
  { layers }: ModelConfig,
  parameters: LoraAdapter | TrainedWeights,
): TrainedGraph {
  const { quantised } = feeds;
  const outer = feeds.outer.tensors.flatMap((tensor) => feeds.outerNameOf(tensor) ?? []);
  if (!(parameters instanceof LoraAdapter)) {
    if (quantised) throw new RangeError('Weights of 8 bits are frozen; only an adapter beside them can be trained.');
    return { firstLayer: parameters.firstLayer, outer, quantised };
  }
  const { r, loraDropout, useDora = false } = parameters.settings;
  const lora = { r, modules: parameters.modules, dropout: loraDropout > 0, dora: useDora };
  return { lora, firstLayer: layers, outer, quantised };
}
