import { elementsOf } from '../model/trained-parameters.js';
import type { TrainedTensor } from '../model/trained-parameters.js';
import type { Optimiser, OptimiserState, RateShare } from './optimiser.js';
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
  /** How far before its values its moments lie: what other optimisers move has none here. */
  readonly gap: number;
  readonly rateShare: number;
  readonly isDecayed: boolean;
}

/** AdamW (Loshchilov and Hutter, arXiv:1711.05101), state in float32; moves the tensors that it is given and no others. */
export class AdamW implements Optimiser {
  step = 0;
  readonly state: OptimiserState;
  private readonly first: Float32Array;
  private readonly second: Float32Array;
  private readonly ranges: readonly Range[];

  constructor(
    private readonly settings: AdamWSettings,
    tensors: readonly TrainedTensor[],
    rateShare: RateShare = () => 1,
  ) {
    this.ranges = rangesOf(tensors, rateShare);
    const last = this.ranges.at(-1);
    const count = last ? last.end - last.gap : 0;
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
    { start, end, gap, isDecayed }: Range,
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
      const m = beta1 * (first[i - gap] ?? 0) + (1 - beta1) * g;
      const v = beta2 * (second[i - gap] ?? 0) + (1 - beta2) * g * g;
      first[i - gap] = m;
      second[i - gap] = v;
      values[i] = (values[i] ?? 0) * keep - (stepSize * m) / (Math.sqrt(v) / correction + epsilon);
    }
  }
}

/** Neighbours that move alike are one range. */
function rangesOf(tensors: readonly TrainedTensor[], rateShare: RateShare): Range[] {
  const ranges: Range[] = [];
  let kept = 0;
  for (const tensor of tensors) {
    const how = { rateShare: rateShare(tensor), isDecayed: isDecayed(tensor), gap: tensor.offset - kept };
    const count = elementsOf(tensor.shape);
    const end = tensor.offset + count;
    const last = ranges.at(-1);
    const alike = last?.rateShare === how.rateShare && last.isDecayed === how.isDecayed && last.gap === how.gap;
    if (alike) last.end = end;
    else ranges.push({ start: tensor.offset, end, ...how });
    kept += count;
  }
  return ranges;
}
