import { describe, expect, it } from '@jest/globals';
import { AdamW, globalNorm } from './adamw.js';
import { learningRateAt } from './schedule.js';

describe('AdamW', () => {
  it('moves its first step by the learning rate against the sign of the gradient, plus decay', () => {
    const optimiser = AdamW.fresh(2, { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1 });
    const values = Float32Array.of(1, -2);
    optimiser.update(values, Float32Array.of(3, -0.5), 0.01);
    expect(values[0]).toBeCloseTo(1 - 0.01 * 0.1 - 0.01, 6);
    expect(values[1]).toBeCloseTo(-2 + 2 * 0.01 * 0.1 + 0.01, 6);
  });

  it('goes on from stored moments exactly', () => {
    const settings = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0 };
    const [a, b] = [Float32Array.of(1, 2, 3), Float32Array.of(1, 2, 3)];
    const first = AdamW.fresh(3, settings);
    const second = AdamW.fresh(3, settings);
    for (let i = 0; i < 3; i += 1)
      for (const [optimiser, values] of [
        [first, a],
        [second, b],
      ] as const)
        optimiser.update(values, values.map(Math.sin), 0.1);
    const restored = new AdamW(settings, second.firstMoments.slice(), second.secondMoments.slice(), second.step);
    first.update(a, a.map(Math.sin), 0.1);
    restored.update(b, b.map(Math.sin), 0.1);
    expect(b).toEqual(a);
  });

  it('measures the norm of a whole vector', () => expect(globalNorm(Float32Array.of(3, 4))).toBe(5));
});

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
