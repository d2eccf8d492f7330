import { describe, expect, it } from '@jest/globals';
import type { Tuning } from '@luthier/contracts';
import { KNOWN_MODELS } from './known-models.js';
import { guessTokensPerSecond } from './speed.js';
import type { SpeedQuestion } from './speed.js';

const [small, larger] = KNOWN_MODELS.map(({ shape }) => shape);
if (!small || !larger) throw new Error('there are no models to plan with');
const lora: Tuning = {
  ...{ type: 'lora', r: 16, loraAlpha: 32, loraDropout: 0, targetModules: 'all-linear', useRslora: false },
};
const speed = (change: Partial<SpeedQuestion> = {}, profile = { devices: 0, cpus: 2 }): number =>
  guessTokensPerSecond({ shape: small, tuning: lora, memoryMode: 'whole-step', ...change }, profile);

describe('the guess of a speed', () => {
  it('is what was measured, where that was measured', () => expect(speed()).toBeCloseTo(180, -1));

  it('falls when activations are computed twice, and when all weights are trained', () => {
    expect(speed({ memoryMode: 'layer-recompute' }) / speed()).toBeCloseTo(4 / 6, 6);
    expect(speed({ tuning: { type: 'full' } }) / speed()).toBeCloseTo(4 / 6, 6);
    expect(speed({ tuning: { type: 'full' }, memoryMode: 'layer-recompute' }) / speed()).toBeCloseTo(4 / 8, 6);
  });

  it('rises when only the topmost layers are trained, as nothing goes back below them', () => {
    const freeze = (trainableLayers: number): number => speed({ tuning: { type: 'freeze', trainableLayers } });
    expect(freeze(2)).toBeGreaterThan(speed());
    expect(freeze(small.layers)).toBeCloseTo(speed({ tuning: { type: 'full' } }), 6);
  });

  it('falls with the model and grows with cores and devices', () => {
    expect(speed({ shape: larger })).toBeLessThan(speed());
    expect(speed({}, { devices: 0, cpus: 8 })).toBeGreaterThan(2 * speed());
    expect(speed({}, { devices: 2, cpus: 8 })).toBeCloseTo(2 * speed({}, { devices: 1, cpus: 8 }), 0);
  });
});
