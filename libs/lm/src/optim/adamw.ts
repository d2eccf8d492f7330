import { elementsOf } from '../model/trained-parameters.js';
import type { TrainedTensor } from '../model/trained-parameters.js';
import type { Optimiser, RateShare } from './optimiser.js';
import { isDecayed } from './weight-decay.js';

export interface AdamWSettings {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Of the tensors that `isDecayed` names. Decoupled: multiplied by the learning rate and the value itself. */
  readonly weightDecay: number;
}

interface Range {
  readonly start: number;
  end: number;
  readonly rateShare: number;
  readonly isDecayed: boolean;
}

/** AdamW (Loshchilov and Hutter), state in float32. */
export class AdamW implements Optimiser {
  step = 0;
  readonly state: ReadonlyMap<string, Float32Array>;
  private readonly first: Float32Array;
  private readonly second: Float32Array;
  private readonly ranges: readonly Range[];

  constructor(
    private readonly settings: AdamWSettings,
    tensors: readonly TrainedTensor[],
    rateShare: RateShare = () => 1,
  ) {
    this.ranges = rangesOf(tensors, rateShare);
    const count = this.ranges.at(-1)?.end ?? 0;
    [this.first, this.second] = [new Float32Array(count), new Float32Array(count)];
    this.state = new Map([
      ['first_moments', this.first],
      ['second_moments', this.second],
    ]);
  }

  update(values: Float32Array, gradients: Float32Array, learningRate: number, gradientScale = 1): void {
    this.step += 1;
    for (const range of this.ranges) this.move(range, values, gradients, learningRate * range.rateShare, gradientScale);
  }

  private move(
    { start, end, isDecayed }: Range,
    values: Float32Array,
    gradients: Float32Array,
    learningRate: number,
    gradientScale: number,
  ): void {
    const { first, second } = this;
    const { beta1, beta2, epsilon, weightDecay } = this.settings;
    const stepSize = learningRate / (1 - beta1 ** this.step);
    const correction = Math.sqrt(1 - beta2 ** this.step);
    const keep = isDecayed ? 1 - learningRate * weightDecay : 1;
    for (let i = start; i < end; i += 1) {
      const g = (gradients[i] ?? 0) * gradientScale;
      const m = beta1 * (first[i] ?? 0) + (1 - beta1) * g;
      const v = beta2 * (second[i] ?? 0) + (1 - beta2) * g * g;
      first[i] = m;
      second[i] = v;
      values[i] = (values[i] ?? 0) * keep - (stepSize * m) / (Math.sqrt(v) / correction + epsilon);
    }
  }
}

/** Neighbours that move alike are one range. */
function rangesOf(tensors: readonly TrainedTensor[], rateShare: RateShare): Range[] {
  const ranges: Range[] = [];
  for (const tensor of tensors) {
    const how = { rateShare: rateShare(tensor), isDecayed: isDecayed(tensor) };
    const end = tensor.offset + elementsOf(tensor.shape);
    const last = ranges.at(-1);
    if (last?.rateShare === how.rateShare && last.isDecayed === how.isDecayed) last.end = end;
    else ranges.push({ start: tensor.offset, end, ...how });
  }
  return ranges;
}
