export interface AdamWSettings {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Decoupled: multiplied by the learning rate and the value itself. */
  readonly weightDecay: number;
}

/** AdamW (Loshchilov and Hutter) over one flat array, state in float32. */
export class AdamW {
  constructor(
    private readonly settings: AdamWSettings,
    /** First and second moments; `step` counts finished updates. */
    readonly firstMoments: Float32Array,
    readonly secondMoments: Float32Array,
    public step = 0,
  ) {}

  static fresh(count: number, settings: AdamWSettings): AdamW {
    return new AdamW(settings, new Float32Array(count), new Float32Array(count));
  }

  /** Updates `values` in place by `gradients * gradientScale`. */
  update(values: Float32Array, gradients: Float32Array, learningRate: number, gradientScale = 1): void {
    this.step += 1;
    const { beta1, beta2, epsilon, weightDecay } = this.settings;
    const first = this.firstMoments;
    const second = this.secondMoments;
    const stepSize = learningRate / (1 - beta1 ** this.step);
    const correction = Math.sqrt(1 - beta2 ** this.step);
    const keep = 1 - learningRate * weightDecay;
    for (let i = 0; i < values.length; i += 1) {
      const g = (gradients[i] ?? 0) * gradientScale;
      const m = beta1 * (first[i] ?? 0) + (1 - beta1) * g;
      const v = beta2 * (second[i] ?? 0) + (1 - beta2) * g * g;
      first[i] = m;
      second[i] = v;
      values[i] = (values[i] ?? 0) * keep - (stepSize * m) / (Math.sqrt(v) / correction + epsilon);
    }
  }
}

/** Euclidean norm. */
export function globalNorm(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i += 1) sum += (values[i] ?? 0) ** 2;
  return Math.sqrt(sum);
}
