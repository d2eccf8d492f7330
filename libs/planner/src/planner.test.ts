import { describe, expect, it } from '@jest/globals';
import { ERROR_CODES } from '@luthier/contracts';
import type { ModelShape } from '@luthier/contracts';
import { advise } from './advise.js';
import { diagnose } from './diagnose.js';
import { planRun, totalSteps } from './plan-run.js';
import type { PlanInput } from './plan-run.js';

const shape: ModelShape = {
  architecture: 'LlamaForCausalLM',
  hiddenSize: 576,
  intermediateSize: 1536,
  layers: 30,
  heads: 9,
  kvHeads: 3,
  headDim: 64,
  vocabularySize: 49152,
  tiedEmbeddings: true,
  contextLength: 8192,
  parameters: 134_515_008,
  weightBytes: 269_030_016,
};
const advised = (patch: Partial<Parameters<typeof advise>[0]['requested']> = {}, model: ModelShape | null = shape) =>
  advise({
    shape: model,
    rows: 300,
    requested: { hyperparameters: {}, tuning: null, cutoffLength: null, ...patch },
  });
const profile = { name: 'local-cpu', device: 'CPU', cpus: 2, devices: 0, memoryMib: 8192, freeMemoryMib: 8192 };
const input = (patch: Partial<PlanInput> = {}): PlanInput => ({
  shape,
  tuning: advised().tuning,
  hyperparameters: advised().hyperparameters,
  rows: 300,
  longestRowTokens: 128,
  tokensPerEpoch: 20_000,
  cutoffLength: 1024,
  profile,
  ...patch,
});

describe('advise', () => {
  it('keeps what the user says and gives a reason for the rest', () => {
    const advice = advised({ hyperparameters: { epochs: 9, learningRate: 0.1 }, cutoffLength: 77 });
    expect(advice.hyperparameters).toMatchObject({ epochs: 9, learningRate: 0.1, globalBatch: 8, schedule: 'cosine' });
    expect(advice.cutoffLength).toBe(77);
    expect(advice.notes.map(({ field }) => field)).toEqual(['tuning', 'hyperparameters.batch_size']);
  });
  it('multiplies the advised rate, which falls as models grow', () => {
    const small = advised().hyperparameters.learningRate;
    expect(advised({ hyperparameters: { learningRateMultiplier: 0.5 } }).hyperparameters.learningRate).toBe(small / 2);
    const large = advised({}, { ...shape, parameters: 7e9 }).hyperparameters.learningRate;
    expect(large).toBe(2e-4);
    expect(small).toBeGreaterThanOrEqual(1e-3);
  });
  it('never reads more than the model can', () => {
    expect(advised({ cutoffLength: 4096 }, { ...shape, contextLength: 512 }).cutoffLength).toBe(512);
  });
});

describe('planRun', () => {
  it('counts the smaller batch at the end of an epoch as a step, up to the limit asked for', () => {
    const { hyperparameters } = advised();
    expect(totalSteps(9, { ...hyperparameters, epochs: 3, globalBatch: 8 })).toBe(6);
    expect(totalSteps(9, { ...hyperparameters, epochs: 3, globalBatch: 8, maxSteps: 4 })).toBe(4);
  });
  it('adds up its components', () => {
    const plan = planRun(input());
    expect(plan.verdict).toBe('fits');
    expect(plan.totalMib).toBe(Math.ceil(plan.components.reduce((sum, { mib }) => sum + mib, 0)));
    expect(plan.estimatedSeconds).toBeGreaterThan(0);
  });
  it('says waits when memory is only taken, and unknown when nothing is known', () => {
    expect(planRun(input({ profile: { ...profile, freeMemoryMib: 10 } })).verdict).toBe('waits');
    expect(planRun(input({ profile: undefined })).verdict).toBe('unknown');
  });
  it('recomputes layers where the whole step does not fit', () => {
    const whole = planRun(input()).totalMib;
    const tight = planRun(input({ profile: { ...profile, memoryMib: whole - 1 } }));
    expect(tight).toMatchObject({ verdict: 'fits', memoryMode: 'layer-recompute' });
  });
  it.each([
    ['shorter rows on a CPU', 0, 'cutoff_length'],
    ['a smaller batch on a GPU', 1, 'hyperparameters.batch_size'],
  ])('offers %s, and only what fits', (_name, devices, field) => {
    const hyperparameters = { ...advised().hyperparameters, globalBatch: 256 };
    const long = input({ hyperparameters, longestRowTokens: 4096, cutoffLength: 4096 });
    const plan = planRun({ ...long, profile: { ...profile, devices, memoryMib: 4_000 } });
    expect(plan.verdict).toBe('can-never-fit');
    const changes = plan.alternatives.flatMap(({ change }) => Object.keys(change));
    expect(changes).toContain(field);
    for (const { totalMib } of plan.alternatives) expect(totalMib).toBeLessThanOrEqual(4_000);
  });
  it('offers nothing when the model alone is too large', () => {
    const plan = planRun(input({ profile: { ...profile, memoryMib: 200 } }));
    expect(plan).toMatchObject({ verdict: 'can-never-fit', alternatives: [] });
  });
});

describe('diagnose', () => {
  const job = { ...advised(), plan: null };
  it.each(ERROR_CODES)('has a sentence and a next step for %s', (code) => {
    const { message, hint } = diagnose({ code }, job);
    expect(message).not.toBe('');
    expect(hint).not.toBe('');
  });
  it('halves batch, rows and rank in this order when memory is short', () => {
    expect(diagnose({ code: 'device.out-of-memory' }, job).change).toEqual({ 'hyperparameters.batch_size': 4 });
    const single = { ...job, hyperparameters: { ...job.hyperparameters, globalBatch: 1 } };
    expect(diagnose({ code: 'host.out-of-memory' }, single).change).toEqual({ cutoff_length: 512 });
    expect(diagnose({ code: 'device.out-of-memory' }, { ...single, cutoffLength: 64 }).change).toEqual({
      'tuning.r': 8,
    });
  });
  it('lowers the rate to a third after a divergence', () => {
    const { change } = diagnose(
      { code: 'training.diverged', step: 4 },
      { ...job, hyperparameters: { ...job.hyperparameters, learningRate: 0.03 } },
    );
    expect(change).toEqual({ 'hyperparameters.learning_rate': 0.01 });
  });
});
