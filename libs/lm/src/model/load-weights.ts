import type { ModelConfig, SafetensorsModel } from '@luthier/formats';
import { modelWeights } from './model-weights.js';
import type { TensorData } from '../executor/executor.js';

/**
 * Reads a model's weights as float32, one tensor at a time. Throws FormatError for a missing or unreadable tensor and
 * RangeError for one of another shape.
 */
export async function loadWeights(model: SafetensorsModel, config: ModelConfig): Promise<Map<string, TensorData>> {
  const weights = new Map<string, TensorData>();
  for (const [name, shape] of modelWeights(config)) {
    const found = model.get(name);
    if (found.shape.join() !== shape.join()) {
      throw new RangeError(
        `The weight "${name}" should have shape [${shape.join(', ')}], not [${found.shape.join(', ')}].`,
      );
    }
    weights.set(name, { data: await model.readFloat32(name), dims: shape });
  }
  return weights;
}
