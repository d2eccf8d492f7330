import type { TrainedTensor } from '../model/trained-parameters.js';

export type OptimiserState = ReadonlyMap<string, Float32Array | Uint8Array>;

/** How what is trained moves. All of its tensors lie in one flat array. */
export interface Optimiser {
  /** Finished updates. */
  step: number;
  /** All that it keeps, by name: an optimiser whose step and state have the same values goes on exactly. */
  readonly state: OptimiserState;
  /** Updates `values` in place by `gradients * gradientScale`. */
  update(values: Float32Array, gradients: Float32Array, learningRate: number, gradientScale?: number): void;
}

/** By how much some tensors are faster than the learning rate. */
export type RateShare = (tensor: TrainedTensor) => number;

/** What LoRA+ (Hayou et al. 2024) gives the higher rate: B, and as in PEFT what is a vector. */
export const loraPlusShare =
  (ratio: number): RateShare =>
  ({ name, shape }) =>
    name.includes('.lora_B.') || shape.length === 1 ? ratio : 1;

/** Euclidean norm. */
export function globalNorm(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i += 1) sum += (values[i] ?? 0) ** 2;
  return Math.sqrt(sum);
}
