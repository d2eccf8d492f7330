import { elementsOf } from '../model/trained-parameters.js';
import type { TrainedTensor } from '../model/trained-parameters.js';
import { AdamW } from './adamw.js';
import type { AdamWSettings } from './adamw.js';
import { BLOCK, dynamicCodes, encodeBlock } from './eight-bit-codes.js';
import type { Optimiser, OptimiserState, RateShare } from './optimiser.js';
import { isDecayed } from './weight-decay.js';

/** What has fewer numbers keeps more in scales than it saves. */
const NUMBERS_MIN = 4096;

interface Matrix {
  readonly offset: number;
  readonly rows: number;
  readonly width: number;
  /** Where its moments and their scales begin. */
  readonly kept: number;
  readonly scales: number;
  readonly rateShare: number;
  readonly isDecayed: boolean;
}

/** What one step multiplies and divides by. */
interface Pace {
  readonly gradientScale: number;
  readonly stepSize: number;
  readonly correction: number;
  readonly keep: number;
}

const canKeep8Bits = ({ shape }: TrainedTensor): boolean => shape.length === 2 && elementsOf(shape) >= NUMBERS_MIN;

/**
 * AdamW whose moments of matrices are kept in 8 bits (Dettmers et al., arXiv:2110.02861): blocks of `BLOCK` numbers, each with
 * its scale. Each row has blocks of its own, as in runtime-torch, where rows are what processes share out. What is
 * smaller, or no matrix, is moved by AdamW in float32.
 */
export class AdamW8bit implements Optimiser {
  readonly state: OptimiserState;
  private readonly others: AdamW;
  private readonly matrices: readonly Matrix[];
  private readonly first: Moments;
  private readonly second: Moments;

  constructor(
    private readonly settings: AdamWSettings,
    tensors: readonly TrainedTensor[],
    rateShare: RateShare = () => 1,
  ) {
    const small = tensors.filter((tensor) => !canKeep8Bits(tensor));
    this.others = new AdamW(settings, small, rateShare);
    this.matrices = matricesOf(tensors.filter(canKeep8Bits), rateShare);
    const last = this.matrices.at(-1);
    const count = last ? last.kept + last.rows * last.width : 0;
    const scales = last ? last.scales + last.rows * blocksOf(last) : 0;
    [this.first, this.second] = [new Moments(count, scales, true), new Moments(count, scales, false)];
    this.state = new Map<string, Float32Array | Uint8Array>([
      ...this.others.state,
      ['first_codes', this.first.codes],
      ['first_scales', this.first.scales],
      ['second_codes', this.second.codes],
      ['second_scales', this.second.scales],
    ]);
  }

  get step(): number {
    return this.others.step;
  }

  set step(finished: number) {
    this.others.step = finished;
  }

  update(values: Float32Array, gradients: Float32Array, learningRate: number, gradientScale = 1): void {
    this.others.update(values, gradients, learningRate, gradientScale);
    const { beta1, beta2, weightDecay } = this.settings;
    const correction = Math.sqrt(1 - beta2 ** this.step);
    for (const matrix of this.matrices) {
      const rate = learningRate * matrix.rateShare;
      const stepSize = rate / (1 - beta1 ** this.step);
      const keep = matrix.isDecayed ? 1 - rate * weightDecay : 1;
      this.moveMatrix(matrix, values, gradients, { gradientScale, stepSize, correction, keep });
    }
  }

  private moveMatrix(matrix: Matrix, values: Float32Array, gradients: Float32Array, pace: Pace): void {
    const { offset, rows, width, kept } = matrix;
    let { scales } = matrix;
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < width; column += BLOCK, scales += 1) {
        const before = row * width + column;
        const count = Math.min(BLOCK, width - column);
        this.first.open(kept + before, count, scales);
        this.second.open(kept + before, count, scales);
        this.moveBlock(offset + before, count, values, gradients, pace);
        this.first.close(kept + before, count, scales);
        this.second.close(kept + before, count, scales);
      }
    }
  }

  private moveBlock(start: number, count: number, values: Float32Array, gradients: Float32Array, pace: Pace): void {
    const { beta1, beta2, epsilon } = this.settings;
    const [first, second] = [this.first.opened, this.second.opened];
    const { gradientScale, stepSize, correction, keep } = pace;
    for (let i = 0; i < count; i += 1) {
      const g = (gradients[start + i] ?? 0) * gradientScale;
      const m = beta1 * (first[i] ?? 0) + (1 - beta1) * g;
      const v = beta2 * (second[i] ?? 0) + (1 - beta2) * g * g;
      first[i] = m;
      second[i] = v;
      values[start + i] = (values[start + i] ?? 0) * keep - (stepSize * m) / (Math.sqrt(v) / correction + epsilon);
    }
  }
}

/** Moments of all matrices in 8 bits, of which one block at a time is open in float32. */
class Moments {
  readonly codes: Uint8Array;
  readonly scales: Float32Array;
  readonly opened = new Float32Array(BLOCK);
  private readonly meaning: ReturnType<typeof dynamicCodes>;

  constructor(count: number, scales: number, signed: boolean) {
    this.meaning = dynamicCodes(signed);
    // A scale of 0 makes nothing of any code.
    this.codes = new Uint8Array(count);
    this.scales = new Float32Array(scales);
  }

  open(start: number, count: number, block: number): void {
    const { codes, opened } = this;
    const { values } = this.meaning;
    const scale = this.scales[block] ?? 0;
    for (let i = 0; i < count; i += 1) opened[i] = (values[codes[start + i] ?? 0] ?? 0) * scale;
  }

  close(start: number, count: number, block: number): void {
    this.scales[block] = encodeBlock(this.opened, count, this.meaning, this.codes, start);
  }
}

const blocksOf = ({ width }: Pick<Matrix, 'width'>): number => Math.ceil(width / BLOCK);

function matricesOf(tensors: readonly TrainedTensor[], rateShare: RateShare): Matrix[] {
  let [kept, scales] = [0, 0];
  return tensors.map((tensor) => {
    const [rows = 0, width = 0] = tensor.shape;
    const how = { rateShare: rateShare(tensor), isDecayed: isDecayed(tensor) };
    const matrix = { offset: tensor.offset, rows, width, kept, scales, ...how };
    [kept, scales] = [kept + rows * width, scales + rows * blocksOf(matrix)];
    return matrix;
  });
}
