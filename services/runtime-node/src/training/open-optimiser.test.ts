import { describe, expect, it } from '@jest/globals';
import type { RuntimeSpec, Tuning } from '@luthier/contracts';
import { openOptimiser } from './open-optimiser.js';

const LORA = { r: 1, loraAlpha: 1, loraDropout: 0, targetModules: 'all-linear' as const, useRslora: false };
const A = { name: 'base_model.model.model.layers.0.mlp.up_proj.lora_A.weight', shape: [1, 2], offset: 0 };
const B = { name: 'base_model.model.model.layers.0.mlp.up_proj.lora_B.weight', shape: [2, 1], offset: 2 };

/** How far the first step moves a number of A, and one of B. */
function stepOf(tuning: Tuning): readonly (number | undefined)[] {
  const hyperparameters = { adamBeta1: 0.9, adamBeta2: 0.999, adamEpsilon: 1e-8, weightDecay: 0 };
  const optimiser = openOptimiser({ tuning, hyperparameters } as RuntimeSpec, [A, B]);
  const values = new Float32Array(4);
  optimiser.update(values, new Float32Array(4).fill(1), 0.01, 1);
  return [values[0], values[2]];
}

describe('the optimiser of a run', () => {
  it.each<Tuning>([
    { type: 'lora', ...LORA, loraplusLrRatio: 4 },
    { type: 'qlora', bits: 8, ...LORA, loraplusLrRatio: 4 },
  ])('moves B as much faster as the ratio says: $type', (tuning) => {
    const [a = 0, b = 0] = stepOf(tuning);
    expect(a).toBeCloseTo(-0.01, 5);
    expect(b / a).toBeCloseTo(4, 4);
  });
});
