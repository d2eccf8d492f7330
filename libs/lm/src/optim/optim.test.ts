import { describe, expect, it } from '@jest/globals';
import { layOut, viewOf } from '../model/trained-parameters.js';
import { Adafactor } from './adafactor.js';
import { AdamW } from './adamw.js';
import { globalNorm, loraPlusShare } from './optimiser.js';
import type { Optimiser } from './optimiser.js';
import { learningRateAt } from './schedule.js';
import { isDecayed } from './weight-decay.js';

const { tensors } = layOut([
  ['q.lora_A.weight', [2, 3]],
  ['q.lora_B.weight', [3, 2]],
  ['q.lora_magnitude_vector', [3]],
]);
const COUNT = 15;
const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1 };
const start = (): Float32Array => Float32Array.from({ length: COUNT }, (_, i) => Math.cos(i) + 0.1);

/** Each kind of tensor, those that are not decayed between those that are. */
const KINDS = layOut([
  ['model.embed_tokens.weight', [3, 2]],
  ['model.layers.0.input_layernorm.weight', [2]],
  ['model.layers.0.self_attn.q_proj.weight', [2, 2]],
  ['model.layers.0.self_attn.q_proj.bias', [2]],
  ['model.layers.0.self_attn.q_norm.weight', [2]],
  ['base_model.model.layers.0.mlp.up_proj.lora_A.weight', [2, 2]],
  ['base_model.model.layers.0.mlp.up_proj.lora_B.weight', [2, 2]],
  ['base_model.model.layers.0.mlp.up_proj.lora_magnitude_vector', [2]],
  ['model.norm.weight', [2]],
]);

describe('weight decay', () => {
  it('is of matrices and embeddings, not of biases, norms and magnitudes, whatever shape they are stored in', () => {
    const decayed = KINDS.tensors.filter(isDecayed).map(({ name }) => name.split('.').at(-2));
    expect(decayed).toEqual(['embed_tokens', 'q_proj', 'lora_A', 'lora_B']);
    expect(isDecayed({ name: 'model.layers.0.self_attn.q_norm.weight', shape: [4, 8] })).toBe(false);
    expect(isDecayed({ name: 'norman.weight', shape: [4, 8] })).toBe(true);
  });

  it.each<[string, (weightDecay: number) => Optimiser]>([
    ['AdamW', (weightDecay) => new AdamW({ ...adam, weightDecay }, KINDS.tensors)],
    ['Adafactor', (weightDecay) => new Adafactor({ weightDecay }, KINDS.tensors)],
  ])('of %s leaves what is not decayed as it is without, to the bit, and draws the rest to zero', (_name, make) => {
    const moved = (weightDecay: number): Float32Array => {
      const values = Float32Array.from({ length: KINDS.count }, (_, i) => Math.cos(i) + 0.1);
      const optimiser = make(weightDecay);
      for (let i = 0; i < 3; i += 1) optimiser.update(values, values.map(Math.sin), 0.1);
      return values;
    };
    const [plain, decayed] = [moved(0), moved(0.5)];
    for (const tensor of KINDS.tensors) {
      const [before, after] = [viewOf(plain, tensor), viewOf(decayed, tensor)];
      if (isDecayed(tensor)) expect(globalNorm(after)).toBeLessThan(globalNorm(before));
      else expect(after).toEqual(before);
    }
  });

  it('of nothing moves all as if they were one tensor, to the bit', () => {
    const start = Float32Array.from({ length: KINDS.count }, (_, i) => Math.cos(i) + 0.1);
    const [found, expected] = [start.slice(), start.slice()];
    const settings = { ...adam, weightDecay: 0 };
    const grouped = new AdamW(settings, KINDS.tensors);
    const whole = new AdamW(settings, layOut([['w', [1, KINDS.count]]]).tensors);
    for (let i = 0; i < 3; i += 1) {
      grouped.update(found, start.map(Math.sin), 0.1);
      whole.update(expected, start.map(Math.sin), 0.1);
    }
    expect(found).toEqual(expected);
  });
});

describe('AdamW', () => {
  it('moves its first step by the learning rate against the sign of the gradient, plus decay', () => {
    const optimiser = new AdamW(adam, layOut([['w', [1, 2]]]).tensors);
    const values = Float32Array.of(1, -2);
    optimiser.update(values, Float32Array.of(3, -0.5), 0.01);
    expect(values[0]).toBeCloseTo(1 - 0.01 * 0.1 - 0.01, 6);
    expect(values[1]).toBeCloseTo(-2 + 2 * 0.01 * 0.1 + 0.01, 6);
  });

  it('gives B and vectors the higher rate of LoRA+', () => {
    const optimiser = new AdamW({ ...adam, weightDecay: 0 }, tensors, loraPlusShare(4));
    const values = start();
    optimiser.update(values, new Float32Array(COUNT).fill(1), 0.01);
    const moved = start().map((value, i) => value - (values[i] ?? 0));
    moved.forEach((by, i) => expect(by).toBeCloseTo(i < 6 ? 0.01 : 0.04, 6));
  });
});

describe('Adafactor', () => {
  it('divides by the means of rows and columns, and moves by no more than the rate in the mean', () => {
    const optimiser = new Adafactor({ weightDecay: 0 }, layOut([['w', [2, 2]]]).tensors);
    const values = new Float32Array(4);
    // Squares 1 4 / 9 16: rows 2.5 and 12.5, columns 5 and 10; all by the rows' mean of 7.5.
    optimiser.update(values, Float32Array.of(1, 2, 3, 4), 0.1);
    const update = [1, 2, 3, 4].map(
      (g, i) => g / Math.sqrt(([2.5, 12.5][i >> 1] ?? 1) / 7.5) / Math.sqrt([5, 10][i & 1] ?? 1),
    );
    const mean = Math.sqrt(update.reduce((sum, u) => sum + u * u, 0) / 4);
    values.forEach((value, i) => expect(value).toBeCloseTo((-0.1 * (update[i] ?? 0)) / Math.max(1, mean), 6));
  });

  it('keeps as many numbers as matrices have rows and columns', () => {
    const kept = [...new Adafactor({ weightDecay: 0 }, tensors).state.values()];
    expect(kept.reduce((sum, { length }) => sum + length, 0)).toBe(2 + 3 + (3 + 2) + 3);
  });
});

it.each<[string, () => Optimiser]>([
  ['AdamW', () => new AdamW(adam, tensors)],
  ['Adafactor', () => new Adafactor(adam, tensors)],
])('%s goes on from its stored state exactly', (_name, make) => {
  const [a, b] = [start(), start()];
  const [first, second] = [make(), make()];
  for (let i = 0; i < 3; i += 1) {
    first.update(a, a.map(Math.sin), 0.1);
    second.update(b, b.map(Math.sin), 0.1);
  }
  const restored = make();
  restored.step = second.step;
  for (const [name, values] of second.state) restored.state.get(name)?.set(values);
  first.update(a, a.map(Math.sin), 0.1);
  restored.update(b, b.map(Math.sin), 0.1);
  expect(b).toEqual(a);
  expect(a).not.toEqual(start());
});

it('measures the norm of a whole vector', () => expect(globalNorm(Float32Array.of(3, 4))).toBe(5));

describe('schedules', () => {
  const settings = { learningRate: 1, warmupRatio: 0.1, totalSteps: 100 };
  it.each([
    ['cosine', 55, 0.5],
    ['linear', 55, 0.5],
    ['constant', 55, 1],
  ] as const)('%s rises over the warm-up and then follows its curve', (schedule, step, expected) => {
    expect(learningRateAt(0, { ...settings, schedule })).toBe(0);
    expect(learningRateAt(5, { ...settings, schedule })).toBeCloseTo(0.5, 6);
    expect(learningRateAt(10, { ...settings, schedule })).toBe(1);
    expect(learningRateAt(step, { ...settings, schedule })).toBeCloseTo(expected, 6);
  });
});
