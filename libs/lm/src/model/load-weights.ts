import type { ModelConfig, SafetensorsModel } from '@luthier/formats';
import { EMBEDDING, LINEAR_MODULES, headWeight, layerPrefix, modelWeights } from './model-weights.js';
import { quantiseRows, scalesOf } from './quantise.js';
import type { TensorData } from '../executor/executor.js';

export interface LoadOptions {
  /** Of the weights of linear layers; the others stay float32. @default 32 */
  readonly bits?: 8 | 32;
}

/**
 * Reads a model's weights, one tensor at a time, as float32 or with linear layers of 8 bits. Throws FormatError for a missing or unreadable tensor and
 * RangeError for one of another shape.
 */
export async function loadWeights(
  model: SafetensorsModel,
  config: ModelConfig,
  { bits = 32 }: LoadOptions = {},
): Promise<Map<string, TensorData>> {
  const weights = new Map<string, TensorData>();
  const few = new Set(bits === 8 ? linearWeights(config) : []);
  for (const [name, shape] of modelWeights(config)) {
    const found = model.get(name);
    if (found.shape.join() !== shape.join()) {
      throw new RangeError(
        `The weight "${name}" should have shape [${shape.join(', ')}], not [${found.shape.join(', ')}].`,
      );
    }
    const data = await model.readFloat32(name);
    if (few.has(name)) setQuantised(weights, name, data, shape);
    else weights.set(name, { data, dims: shape });
  }
  return weights;
}

/** Where an adapter unties what its base has as one matrix, the output weights begin as the embeddings. */
export function untieWeights(weights: Map<string, TensorData>, tuned: ModelConfig): void {
  const embeddings = weights.get(EMBEDDING);
  if (embeddings && !weights.has(headWeight(tuned))) weights.set(headWeight(tuned), embeddings);
}

function linearWeights({ layers }: ModelConfig): string[] {
  return Array.from({ length: layers }, (_, layer) =>
    LINEAR_MODULES.map((module) => `${layerPrefix(layer)}${module}.weight`),
  ).flat();
}

function setQuantised(
  weights: Map<string, TensorData>,
  name: string,
  data: Float32Array,
  shape: readonly number[],
): void {
  const { values, scales } = quantiseRows(data, shape[0] ?? 1);
  weights.set(name, { data: values, dims: shape });
  weights.set(scalesOf(name), { data: scales, dims: [scales.length] });
}
