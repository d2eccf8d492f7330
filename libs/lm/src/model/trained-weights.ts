import type { ModelConfig } from '@luthier/formats';
import type { TensorData } from '../executor/executor.js';
import { layerPrefix, layerWeights, modelWeights } from './model-weights.js';
import { layOut, viewOf } from './trained-parameters.js';
import type { TrainedParameters, TrainedTensor } from './trained-parameters.js';

/**
 * The model's own weights as what is trained: all of them, or those of its topmost layers. The trained weights lie in
 * `values` and nowhere else: what the model computes with are views of it.
 */
export class TrainedWeights implements TrainedParameters {
  readonly storedPrefix = '';

  private constructor(
    readonly tensors: readonly TrainedTensor[],
    readonly values: Float32Array,
    /** From this layer on weights are trained. */
    readonly firstLayer: number,
  ) {}

  /**
   * Takes the trained ones out of `weights`, in which views take their place. `topmostLayers`: as many layers from the
   * top; without it everything. Throws RangeError for more layers than there are, or a missing weight.
   */
  static take(config: ModelConfig, weights: Map<string, TensorData>, topmostLayers?: number): TrainedWeights {
    if (topmostLayers !== undefined && topmostLayers > config.layers)
      throw new RangeError(`tuning.trainableLayers: the model has ${config.layers} layers.`);
    const firstLayer = topmostLayers === undefined ? 0 : config.layers - topmostLayers;
    const { tensors, count } = layOut(
      topmostLayers === undefined ? modelWeights(config) : weightsFrom(config, firstLayer),
    );
    const values = new Float32Array(count);
    for (const tensor of tensors) {
      const found = weights.get(tensor.name);
      if (!found) throw new RangeError(`The model has no weight "${tensor.name}".`);
      const view = viewOf(values, tensor);
      view.set(found.data as Float32Array);
      weights.set(tensor.name, { data: view, dims: found.dims });
    }
    return new TrainedWeights(tensors, values, firstLayer);
  }
}

/** Number of weights that `TrainedWeights.take` would train. */
export function trainedWeightCount(config: ModelConfig, topmostLayers?: number): number {
  const shapes =
    topmostLayers === undefined ? modelWeights(config) : weightsFrom(config, config.layers - topmostLayers);
  return layOut(shapes).count;
}

function* weightsFrom(config: ModelConfig, firstLayer: number): Generator<readonly [string, readonly number[]]> {
  for (let layer = Math.max(0, firstLayer); layer < config.layers; layer += 1) {
    for (const [name, shape] of layerWeights(config)) yield [layerPrefix(layer) + name, shape];
  }
}
