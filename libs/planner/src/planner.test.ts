import { describe, expect, it } from '@jest/globals';
import { ERRORS, ERROR_CODES, PLAN_COMPONENTS } from '@luthier/contracts';
import type { Method, ModelShape, Obstacle, Plan } from '@luthier/contracts';
import { advise } from './advise.js';
import { diagnose } from './diagnose.js';
import { planRun, totalSteps } from './plan-run.js';
import type { PlanInput, PlanProfile } from './plan-input.js';
import { lessMemory } from './smaller-runs.js';

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
    requested: { method: { type: 'supervised' }, hyperparameters: {}, tuning: null, cutoffLength: null, ...patch },
  });
const profile = {
  name: 'local-cpu',
  runtime: 'runtime-node',
  device: 'CPU',
  cpus: 2,
  devices: 0,
  memoryMib: 8192,
  freeMemoryMib: 8192,
};
const input = (patch: Partial<PlanInput> = {}): PlanInput => ({
  shape,
  method: 'supervised',
  tuning: advised().tuning,
  hyperparameters: advised().hyperparameters,
  rows: 300,
  longestRowTokens: 128,
  tokensPerEpoch: 20_000,
  cutoffLength: 1024,
  profile,
  ...patch,
});

describe('planRun on devices', () => {
  const gpu = { ...profile, name: 'gpu', device: 'A10', devices: 1, memoryMib: 24_000, freeMemoryMib: 24_000 };
  const full = { type: 'full' } as const;
  const on = (worldSize: number, patch: Partial<PlanProfile> = {}) =>
    planRun(input({ tuning: full, profile: { ...gpu, ...patch }, worldSize }));

  it('shares a batch among devices, so that each needs less and all take less time', () => {
    const [one, four] = [on(1), on(4)];
    expect(four.totalMib).toBeLessThan(one.totalMib);
    expect(four.estimatedSeconds).toBeCloseTo((one.estimatedSeconds ?? 0) / 4, -1);
    expect(four.components.find(({ name }) => name === 'weights')).toEqual(
      one.components.find(({ name }) => name === 'weights'),
    );
  });

  it('says what a run waits for when the place tells it', () => {
    const obstacle: Obstacle = { reason: 'nodes-to-come', params: {}, nearest: null };
    expect(on(1, { freeMemoryMib: 0, why: 'Waiting for GPUs.', obstacle })).toMatchObject({
      ...{ verdict: 'waits', obstacle },
      message: expect.stringMatching(/MiB\. Waiting for GPUs\.$/),
    });
  });
});

describe('planRun of the PyTorch runtime on GPUs', () => {
  const card = { ...profile, name: 'gpu', runtime: 'runtime-torch', device: 'A10', devices: 1 };
  const gpu = { ...card, memoryMib: 24_000, freeMemoryMib: 24_000, maxDevicesPerNode: 4, nodes: 2 };
  const billions: ModelShape = { ...shape, layers: 32, hiddenSize: 2048, intermediateSize: 8192, parameters: 1.9e9 };
  const full = { type: 'full' } as const;
  const on = (worldSize: number, patch: Partial<PlanInput> = {}) =>
    planRun(input({ tuning: full, shape: billions, profile: gpu, worldSize, ...patch }));
  const part = (plan: Plan, name: string): number => plan.components.find((one) => one.name === name)?.mib ?? 0;

  it('divides weights, gradients and optimiser state of a whole model, and not what a layer keeps', () => {
    const [two, four] = [on(2), on(4)];
    for (const name of ['weights', 'adapterAndOptimiser']) expect(part(four, name)).toBeCloseTo(part(two, name) / 2, 0);
    expect(part(four, 'head')).toBe(part(two, 'head'));
    expect(part(four, 'wholeLayers')).toBe(part(two, 'wholeLayers'));
    expect(four.notes.map(({ id }) => id)).toContain('model-dealt-out');
  });
  it('refuses what one device cannot hold, and offers the least devices that can', () => {
    const refused = on(1);
    expect(refused.verdict).toBe('can-never-fit');
    const devices = refused.alternatives.find(({ change }) => 'resources.nodes' in change);
    expect(devices?.change).toEqual({ 'resources.nodes': 1, 'resources.devices_per_node': 2 });
    expect(on(2)).toMatchObject({ verdict: 'fits', totalMib: devices?.totalMib });
    expect(on(1, { profile: { ...gpu, maxDevicesPerNode: 1, nodes: 1 } }).alternatives).not.toContainEqual(
      expect.objectContaining({ change: expect.objectContaining({ 'resources.nodes': expect.anything() }) }),
    );
  });
  it('leaves the model in the memory of the machine where nothing else fits, and says what that costs', () => {
    const away = on(1, { profile: { ...gpu, hostMemoryMib: 64_000 } });
    expect(away).toMatchObject({ verdict: 'fits', leastMib: expect.any(Number) });
    for (const name of ['weights', 'adapterAndOptimiser']) expect(part(away, name)).toBe(0);
    const notes = away.notes.map(({ id }) => id);
    expect(notes).toContain('model-offloaded');
    expect(notes).not.toContain('model-dealt-out');
    expect(on(1, { profile: { ...gpu, hostMemoryMib: 20_000 } }).verdict).toBe('can-never-fit');
    const [two, twoWithMore] = [on(2), on(2, { profile: { ...gpu, hostMemoryMib: 64_000 } })];
    expect(twoWithMore).toEqual(two);
  });
  it('shares rows that are too long for one device, and says so', () => {
    const long = { longestRowTokens: 60_000, cutoffLength: 60_000, tuning: advised().tuning };
    expect(on(1, long).verdict).toBe('can-never-fit');
    const shared = on(8, long);
    expect(shared.verdict).toBe('fits');
    expect(shared.notes).toContainEqual(expect.objectContaining({ id: 'rows-shared', params: { processes: 8 } }));
    expect(on(8, { ...long, method: 'orpo' }).verdict).toBe('can-never-fit');
  });
  it('offers a frozen model of fewer bits where LoRA does not fit and that does', () => {
    const one = { ...gpu, maxDevicesPerNode: 1, nodes: 1, memoryMib: 4_000, freeMemoryMib: 4_000 };
    const tuning = advised().tuning;
    const refused = on(1, { profile: one, tuning });
    expect(refused.verdict).toBe('can-never-fit');
    const fewer = refused.alternatives.find(({ change }) => change['tuning.type'] === 'qlora');
    expect(fewer?.change).toEqual({ 'tuning.type': 'qlora', 'tuning.bits': 8 });
    const qlora: PlanInput['tuning'] = { ...(tuning as Extract<typeof tuning, { r: number }>), type: 'qlora', bits: 8 };
    const fits = on(1, { profile: one, tuning: qlora });
    expect(fits.verdict).toBe('fits');
    expect(fits.totalMib).toBeLessThanOrEqual(4_000);
    const elsewhere = on(1, { profile: { ...one, runtime: 'my-runtime' }, tuning });
    expect(elsewhere.alternatives.map(({ change }) => change['tuning.type'])).not.toContain('qlora');
  });
  it('fills a device with rows as far as it fits, and asks no more of other devices than the least', () => {
    const plan = on(4);
    expect(plan.totalMib).toBeLessThanOrEqual(24_000);
    expect(plan.leastMib).toBeLessThan(plan.totalMib);
    expect(part(plan, 'reserve')).toBeCloseTo(0.08 * plan.totalMib, -1);
  });
  it.each([
    ['bfloat16', ['float32', 'bfloat16', 'float16'], null, 'precision-bfloat16'],
    ['float16', ['float32', 'float16'], null, 'precision-float16'],
    ['float32', undefined, null, 'precision-float32'],
    ['float32', ['float32', 'bfloat16'], 'float32', 'precision-asked'],
  ] as const)(
    'computes in %s where the device offers %j and the job asks for %j',
    (precision, precisions, asked, id) => {
      const plan = on(4, { profile: { ...gpu, precisions }, precision: asked, tuning: advised().tuning });
      expect(plan.precision).toBe(precision);
      expect(plan.notes.map((note) => note.id)).toContain(id);
      const floats = on(4, { tuning: advised().tuning, precision: 'float32' });
      expect(part(plan, 'weights')).toBeCloseTo(part(floats, 'weights') / (precision === 'float32' ? 1 : 2), 0);
    },
  );
  it('deals a whole model out over the processors of several nodes, which together are quicker', () => {
    const cpu = { ...profile, runtime: 'runtime-torch', memoryMib: 64_000, freeMemoryMib: 64_000 };
    const [one, two] = [1, 2].map((worldSize) => planRun(input({ tuning: full, profile: cpu, worldSize })));
    if (!one || !two) throw new Error('two plans');
    expect(part(two, 'weights')).toBeCloseTo(part(one, 'weights') / 2, 0);
    expect(two.estimatedSeconds).toBeLessThan(one.estimatedSeconds ?? 0);
  });
  it('takes no float16 on a processor', () => {
    const cpu = { ...profile, runtime: 'runtime-torch', precisions: ['float32', 'float16'] };
    expect(planRun(input({ profile: cpu })).precision).toBe('float32');
  });
});

describe('advise', () => {
  it('keeps what the user says and gives a reason for the rest', () => {
    const advice = advised({ hyperparameters: { epochs: 9, learningRate: 0.1 }, cutoffLength: 77 });
    expect(advice.hyperparameters).toMatchObject({ epochs: 9, learningRate: 0.1, globalBatch: 8, schedule: 'cosine' });
    expect(advice.cutoffLength).toBe(77);
    expect(advice.notes.map(({ field }) => field)).toEqual(['tuning', 'hyperparameters.batch_size']);
  });
  it('is more careful with methods that compare, and says why', () => {
    const rateOf = (type: Method['type']): number => advised({ method: { type } }).hyperparameters.learningRate;
    expect(rateOf('dpo')).toBeCloseTo(rateOf('supervised') / 10, 9);
    expect(rateOf('simpo')).toBeLessThan(rateOf('dpo'));
    expect(rateOf('orpo')).toBeGreaterThan(rateOf('dpo'));
    const { hyperparameters, notes } = advised({ method: { type: 'dpo' } });
    expect(hyperparameters).toMatchObject({ epochs: 3, globalBatch: 16 });
    expect(notes.find(({ id }) => id === 'rate-comparing')?.message).toMatch(/A tenth of/);
    expect(advised({ method: { type: 'pretrain' } }).hyperparameters.epochs).toBe(1);
    expect(rateOf('reward')).toBeCloseTo(rateOf('supervised') / 2, 9);
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
  it('counts two rows a pair on the PyTorch runtime, time for the reference of DPO, and no second model', () => {
    const torch = { ...profile, runtime: 'runtime-torch' };
    const on = (method: Method['type'], patch: Partial<PlanInput> = {}) =>
      planRun(input({ method, profile: torch, longestRowTokens: 600, ...patch }));
    const [rows, pairs, odds] = [on('supervised'), on('dpo'), on('orpo')];
    const part = (plan: Plan, name: string): number => plan.components.find((one) => one.name === name)?.mib ?? 0;
    expect(part(pairs, 'activations')).toBeCloseTo(2 * part(rows, 'activations'), 0);
    expect(part(pairs, 'weights')).toBe(part(rows, 'weights'));
    expect(pairs.totalMib).toBe(odds.totalMib);
    expect(pairs.estimatedSeconds).toBeGreaterThan(odds.estimatedSeconds ?? 0);
    expect(on('dpo', { longestPassTokens: 700 }).totalMib).toBeLessThan(pairs.totalMib);
    expect(part(on('reward'), 'head')).toBe(0);
    const answers = { toEach: 8, tokensMax: 100, stepsEach: 1, nearStart: false };
    const graded = on('grpo', { longestRowTokens: 500, answers });
    expect(part(graded, 'activations')).toBe(part(rows, 'activations'));
    const { layers, kvHeads, headDim } = shape;
    expect(part(graded, 'cache')).toBeCloseTo((2 * layers * kvHeads * headDim * 8 * 600 * 4) / 2 ** 20, 0);
    expect(graded.tokens).toBeGreaterThan(8 * rows.tokens);
    const again = on('grpo', { longestRowTokens: 500, answers: { ...answers, stepsEach: 2 } });
    expect(again).toMatchObject({ steps: 2 * graded.steps, tokens: 2 * graded.tokens });
    expect(again.estimatedSeconds).toBeLessThan(2 * (graded.estimatedSeconds ?? 0));
    expect(on('kto').estimatedSeconds).toBeGreaterThan(pairs.estimatedSeconds ?? 0);
  });
  it('names every component with a word of the contract', () => {
    for (const devices of [0, 1]) {
      const { components } = planRun(input({ profile: { ...profile, devices } }));
      expect(components.length).toBeGreaterThan(3);
      for (const { name } of components) expect(PLAN_COMPONENTS).toContain(name);
    }
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

describe('lessMemory', () => {
  const changed = (run: PlanInput): PlanInput => {
    const { automatic } = lessMemory(run);
    if (!automatic) throw new Error('nothing to change');
    const { tuning, hyperparameters, cutoffLength, memoryCapMib } = automatic;
    return { ...run, tuning, hyperparameters, cutoffLength, memoryCapMib };
  };
  it('computes activations layer by layer first, which costs only time, then cuts rows; each a quarter smaller', () => {
    const first = input({ longestRowTokens: 1024, profile: { ...profile, memoryMib: 64_000 } });
    const second = changed(first);
    expect(planRun(second).memoryMode).toBe('layer-recompute');
    expect(second).toMatchObject({ cutoffLength: first.cutoffLength, hyperparameters: first.hyperparameters });
    expect(planRun(second).totalMib).toBeLessThanOrEqual(0.75 * planRun(first).totalMib);
    const third = changed(second);
    expect(third.cutoffLength).toBeLessThan(second.cutoffLength);
    expect(third.hyperparameters).toEqual(second.hyperparameters);
    expect(planRun(third).totalMib).toBeLessThanOrEqual(0.75 * planRun(second).totalMib);
  });
  it('applies no change that is not enough by the estimate it plans with', () => {
    for (const devices of [0, 1]) {
      for (const longestRowTokens of [16, 200, 700, 4096]) {
        for (const memoryMib of [700, 1_500, 6_000, 64_000]) {
          const run = input({ longestRowTokens, cutoffLength: 4096, profile: { ...profile, devices, memoryMib } });
          const { automatic, wasMib } = lessMemory(run);
          if (!automatic) continue;
          const after = planRun(changed(run)).totalMib;
          expect(after).toBe(automatic.totalMib);
          expect(after).toBeLessThanOrEqual(0.75 * Math.min(wasMib, memoryMib));
        }
      }
    }
  });
  it('never takes another way of tuning without asking', () => {
    const full = input({ tuning: { type: 'full' }, profile: { ...profile, devices: 1, memoryMib: 2_000 } });
    expect(lessMemory(full).advice.flatMap(({ change }) => Object.keys(change))).toContain('tuning.type');
    expect(lessMemory(full).automatic).toBeUndefined();
  });
});

describe('diagnose', () => {
  const job = { ...advised(), plan: null, run: null };
  it.each(ERROR_CODES)('has a sentence and a next step for %s', (code) => {
    const { message, hint } = diagnose({ code }, job);
    expect(message).not.toBe('');
    expect(hint).not.toBe('');
  });
  const oom = (code: 'device.out-of-memory' | 'host.out-of-memory', run: PlanInput | null) =>
    diagnose({ code }, { ...job, run });
  const onGpu = { ...profile, devices: 1, memoryMib: 24_000 };

  it('proposes the batch where it lowers the memory, with both figures', () => {
    const run = input({ longestRowTokens: 128, profile: onGpu });
    const before = planRun(run).totalMib;
    const { hint, change } = oom('device.out-of-memory', run);
    const batch = Number(change['hyperparameters.batch_size']);
    expect(Object.keys(change)).toEqual(['hyperparameters.batch_size']);
    expect(batch).toBeLessThan(8);
    const after = planRun({ ...run, hyperparameters: { ...run.hyperparameters, globalBatch: batch } }).totalMib;
    expect(after).toBeLessThanOrEqual(0.75 * before);
    expect(hint).toContain(`about ${before} MiB`);
    expect(hint).toContain(`Batch of ${batch}: about ${after} MiB`);
  });
  it.each(['device.out-of-memory', 'host.out-of-memory'] as const)(
    'never proposes the batch of the runtime for CPUs, which accumulates, after %s, but shorter rows',
    (code) => {
      const run = input({ longestRowTokens: 4096, cutoffLength: 4096, profile: { ...profile, memoryMib: 64_000 } });
      const { change } = oom(code, run);
      expect(Object.keys(change)).toEqual(['cutoff_length']);
      const after = planRun({ ...run, cutoffLength: Number(change['cutoff_length']) }).totalMib;
      expect(after).toBeLessThanOrEqual(0.75 * planRun(run).totalMib);
    },
  );
  it('proposes no change where none lowers the memory enough, and says so', () => {
    const tuning = { ...advised().tuning, type: 'qlora', bits: 8, r: 2 } as const;
    const recomputing = input({ longestRowTokens: 64, memoryCapMib: 900, tuning: tuning as PlanInput['tuning'] });
    expect(planRun(recomputing).memoryMode).toBe('layer-recompute');
    const { hint, change } = oom('host.out-of-memory', recomputing);
    expect(change).toEqual({});
    expect(hint).toMatch(/expected to need about \d+ MiB.*smaller model or a larger machine/);
  });
  it('says what auto_fix would do, which is to spend memory another way, and offers weights of 8 bits', () => {
    const { hint, change } = oom('host.out-of-memory', input({ longestRowTokens: 64 }));
    expect(change).toEqual({ 'tuning.type': 'qlora', 'tuning.bits': 8 });
    expect(hint).toMatch(/With auto_fix .* about \d+ MiB: activations computed layer by layer/);
  });
  it('leaves the standing advice where nothing is known of a run', () => {
    expect(oom('device.out-of-memory', null)).toMatchObject({ hint: ERRORS['device.out-of-memory'].hint, change: {} });
  });
  it('lowers the rate to a third after a divergence', () => {
    const { change } = diagnose(
      { code: 'training.diverged', step: 4 },
      { ...job, hyperparameters: { ...job.hyperparameters, learningRate: 0.03 } },
    );
    expect(change).toEqual({ 'hyperparameters.learning_rate': 0.01 });
  });
});
