import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { capabilities, featuresAsked, trainResult } from '@luthier/contracts';
import type { Capabilities, RuntimeSpec } from '@luthier/contracts';
import { openPeftAdapter, openSafetensorsModel } from '@luthier/formats';
import { removeHome, tempDir } from '@luthier/testing';
import { trainSpec, writeTinyKinds } from './fixtures.js';
import { RuntimeProcess, eventsOfType } from './runtime-process.js';

const TIMEOUT_MS = 480_000;

const { tuning: lora, hyperparameters } = trainSpec({ modelDir: '-', trainDir: '-', heldOutDir: '-', outputDir: '-' });
const adapter = (changes: object): RuntimeSpec['tuning'] => ({ ...lora, ...changes });

const BOTH = ['embed_tokens', 'lm_head'];

/** Kinds of runs, each with the fields in which it differs from the plain one. */
const KINDS: readonly [string, Partial<RuntimeSpec>][] = [
  ['full', { tuning: { type: 'full' } }],
  ['freeze', { tuning: { type: 'freeze', trainableLayers: 1 } }],
  ['qlora', { tuning: adapter({ type: 'qlora', bits: 8 }) }],
  ['dora', { tuning: adapter({ useDora: true, loraDropout: 0.1 }) }],
  ['loraplus', { tuning: adapter({ loraplusLrRatio: 4 }) }],
  ['modules', { tuning: adapter({ modulesToSave: BOTH }) }],
  ['modules, untied', { tuning: adapter({ modulesToSave: BOTH }), modelDir: 'untied' }],
  ['head, qlora', { tuning: adapter({ type: 'qlora', bits: 8, modulesToSave: ['lm_head'] }), modelDir: 'untied' }],
  ['adafactor', { tuning: { type: 'full' }, hyperparameters: { ...hyperparameters, optimizer: 'adafactor' } }],
  ['adamw8bit', { tuning: { type: 'full' }, hyperparameters: { ...hyperparameters, optimizer: 'adamw8bit' } }],
  ['neftune', { hyperparameters: { ...hyperparameters, neftuneNoiseAlpha: 5 } }],
  ['label smoothing', { hyperparameters: { ...hyperparameters, labelSmoothingFactor: 0.1 } }],
  ['dpo', { method: { type: 'dpo', loss: 'sigmoid', beta: 0.1, labelSmoothing: 0 } }],
  ['dpo, full', { method: { type: 'dpo', loss: 'sigmoid', beta: 0.1, labelSmoothing: 0 }, tuning: { type: 'full' } }],
  ['orpo', { method: { type: 'orpo', beta: 0.1 } }],
  ['simpo', { method: { type: 'simpo', beta: 2, gamma: 0.5 } }],
  ['kto', { method: { type: 'kto', beta: 0.1, desirableWeight: 1, undesirableWeight: 1 } }],
];

/**
 * Losses of the seeded tiny model: those of runtime-node as of the day on which they agreed with runtime-torch's. Kinds
 * with random numbers of a runtime's own have none.
 */
const GOLDEN: Readonly<Record<string, readonly number[]>> = {
  full: [4.828, 4.828, 4.6829, 4.4413, 4.4245, 4.2853, 4.1373, 4.2651, 4.1029, 4.0836],
  freeze: [4.828, 4.828, 4.68, 4.4537, 4.4872, 4.2053, 4.0564, 4.2037, 4.0514, 4.0309],
  loraplus: [4.828, 4.828, 4.6835, 4.3147, 4.2525, 4.0956, 3.9861, 3.9813, 3.889, 3.8387],
  adafactor: [4.828, 4.828, 4.7185, 4.424, 4.284, 4.3332, 4.1716, 4.3108, 4.0296, 3.9892],
  adamw8bit: [4.9273, 5.1592, 4.8125, 4.0194, 3.6574, 3.0402, 2.5428, 2.7332, 3.0128, 3.1669],
  'label smoothing': [4.8231, 4.8242, 4.7213, 4.5868, 4.4244, 4.5226, 4.3918, 4.4667, 4.3639, 4.2877],
  dpo: [0.6931, 0.6931, 0.6693, 0.5834, 0.6481, 0.4488, 0.4337, 0.4556, 0.4015, 0.348],
  'dpo, full': [0.6931, 0.6931, 0.6431, 0.5125, 0.5789, 0.2977, 0.3375, 0.3807, 0.3025, 0.2546],
  orpo: [4.8986, 4.9052, 4.7828, 4.6242, 4.4489, 4.5515, 4.4025, 4.4763, 4.3739, 4.2694],
  simpo: [1.0076, 1.1958, 0.9627, 0.7215, 0.7162, 0.6627, 0.6011, 0.405, 0.4798, 0.4251],
  kto: [0.5, 0.5, 0.4947, 0.4717, 0.4745, 0.4128, 0.3898, 0.4114, 0.426, 0.5],
};

const has = ({ tunings, methods, features = [] }: Capabilities, spec: RuntimeSpec): boolean =>
  tunings.includes(spec.tuning.type) &&
  methods.includes(spec.method.type) &&
  featuresAsked(spec).every(({ feature }) => features.includes(feature));

/** What a runtime makes of the tunings, methods and features that it lists; within a `describe`. */
export function describeTunings(command: readonly string[]): void {
  let root = '';
  let listed: Capabilities;
  let runs = 0;
  const spec = (changes: Partial<RuntimeSpec> = {}): RuntimeSpec => {
    runs += 1;
    const kind = changes.method?.type ?? 'supervised';
    const data = kind === 'kto' ? 'rated' : kind === 'supervised' ? 'rows' : 'pairs';
    const [trainDir, heldOutDir] = [join(root, `${data}-train`), join(root, `${data}-held-out`)];
    const modelDir = join(root, changes.hyperparameters?.optimizer === 'adamw8bit' ? 'wide-model' : 'model');
    const plain = trainSpec({ modelDir, trainDir, heldOutDir, outputDir: join(root, `out-${runs}`) });
    // Weights themselves need a lower rate than an adapter.
    const gentle = changes.tuning?.type === 'full' || (changes.tuning && 'modulesToSave' in changes.tuning);
    const learningRate = gentle ? 0.002 : plain.hyperparameters.learningRate;
    const merged = { ...plain, ...changes, modelDir: resolve(root, changes.modelDir ?? plain.modelDir) };
    return { ...merged, hyperparameters: { ...merged.hyperparameters, learningRate } };
  };
  const run = async (asked: RuntimeSpec): Promise<void> => {
    const { code, log } = await (await RuntimeProcess.startSpec(command, asked)).ended;
    expect({ code, log }).toEqual({ code: 0, log: '' });
  };
  const losses = async ({ outputDir }: RuntimeSpec): Promise<number[]> =>
    (await eventsOfType(outputDir, 'step')).map(({ loss }) => loss);
  const resultOf = async ({ outputDir }: RuntimeSpec) =>
    trainResult.parse((await eventsOfType(outputDir, 'result'))[0]?.result);

  beforeAll(async () => {
    root = await tempDir('tunings');
    await writeTinyKinds(root);
    const { log } = await RuntimeProcess.start(command, ['capabilities']).ended;
    listed = capabilities.parse(JSON.parse(log));
  });
  afterAll(() => removeHome(root));

  describe.each(KINDS)('%s, where it is listed', (kind, changes) => {
    it(
      'learns, the same in both memory modes, and goes on from a checkpoint bit for bit',
      async () => {
        const whole = spec({ ...changes, memoryMode: 'whole-step' });
        if (!has(listed, whole)) return;
        await run(whole);
        const expected = await losses(whole);
        expect(expected.length).toBe(10);
        GOLDEN[kind]?.forEach((loss, i) => expect(Math.abs((expected[i] ?? 0) - loss)).toBeLessThan(2e-3));
        const { base, tuned, artifactDir } = await resultOf(whole);
        expect(tuned?.loss).toBeLessThan(base?.loss ?? 0);

        const other = spec({ ...changes, memoryMode: 'layer-recompute' });
        await run(other);
        (await losses(other)).forEach((loss, i) => expect(Math.abs(loss - (expected[i] ?? 0))).toBeLessThan(2e-3));

        const [first] = (await eventsOfType(whole.outputDir, 'checkpoint')).slice(-2);
        const resumeFrom = join(whole.outputDir, first?.dir ?? '');
        const resumed = spec({ ...changes, memoryMode: 'whole-step', incarnation: 2, resumeFrom });
        await run(resumed);
        expect(await losses(resumed)).toEqual(expected.slice(first?.step));
        const again = await resultOf(resumed);
        expect({ base: again.base, tuned: again.tuned }).toEqual({ base, tuned });
        const file = artifactDir === 'adapter' ? 'adapter_model.safetensors' : 'model.safetensors';
        const bytes = (asked: RuntimeSpec): Promise<Buffer> => readFile(join(asked.outputDir, artifactDir, file));
        expect((await bytes(resumed)).equals(await bytes(whole))).toBe(true);
      },
      TIMEOUT_MS,
    );
  });

  it(
    'ends after maxSteps, within an epoch too, and learns along the whole schedule until there',
    async () => {
      const asked = spec({ hyperparameters: { ...hyperparameters, maxSteps: 3 } });
      await run(asked);
      const steps = await eventsOfType(asked.outputDir, 'step');
      expect(steps.map(({ step, totalSteps }) => [step, totalSteps])).toEqual([1, 2, 3].map((step) => [step, 3]));
      // The cosine is half way down at the last of them.
      expect(steps.at(-1)?.learningRate).toBeCloseTo((steps[1]?.learningRate ?? 0) / 2, 9);
    },
    TIMEOUT_MS,
  );

  it.each([
    ['full', { type: 'full' }],
    ['freeze', { type: 'freeze', trainableLayers: 1 }],
  ] as const)(
    '%s leaves a whole model, of which only what it trains has moved, and which is scored as such',
    async (kind, tuning) => {
      const asked = spec({ tuning });
      if (!has(listed, asked)) return;
      await run(asked);
      const [before, after] = [join(root, 'model'), join(asked.outputDir, 'model')];
      const [old, now] = [await openSafetensorsModel(before), await openSafetensorsModel(after)];
      expect([...now.tensors.keys()].sort()).toEqual([...old.tensors.keys()].sort());
      for (const name of old.tensors.keys()) {
        const same = [...(await old.readFloat32(name))].join() === [...(await now.readFloat32(name))].join();
        expect([name, same]).toEqual([name, kind === 'freeze' && !name.startsWith('model.layers.1.')]);
        expect(now.get(name).dtype).toBe('F32');
      }
      const { tuned } = await resultOf(asked);
      const scored = spec({ mode: 'score', modelDir: after });
      await run(scored);
      const [event] = await eventsOfType(scored.outputDir, 'result');
      expect(event?.result).toMatchObject({ mode: 'score', base: { loss: tuned?.loss } });
    },
    TIMEOUT_MS,
  );

  it(
    'goes on from an adapter with its magnitudes, which are then what a method compares with',
    async () => {
      const first = spec({ tuning: adapter({ useDora: true, r: 3 }) });
      if (!has(listed, first)) return;
      await run(first);
      const adapterDir = join(first.outputDir, 'adapter');
      expect((await openPeftAdapter(adapterDir, { beyondLora: true })).config).toMatchObject({
        useDora: true,
        rank: 3,
      });
      const next = spec({ adapterDir, method: { type: 'dpo', loss: 'sigmoid', beta: 0.1, labelSmoothing: 0 } });
      if (!has(listed, next)) return;
      await run(next);
      const { base } = await resultOf(next);
      // The policy before its first step is its own reference, and what it is compared with.
      expect((await losses(next))[0]).toBeCloseTo(Math.LN2, 6);
      expect(base?.loss).toBeCloseTo(Math.LN2, 6);
      const stored = await openPeftAdapter(join(next.outputDir, 'adapter'), { beyondLora: true });
      expect(stored.config).toMatchObject({ useDora: true, rank: 3 });
    },
    TIMEOUT_MS,
  );

  it.each(['model', 'untied'])(
    'goes on from an adapter with embeddings and head, in both memory modes, and scores it as it was left: %s',
    async (modelDir) => {
      const first = spec({ modelDir, tuning: adapter({ modulesToSave: BOTH, r: 3 }) });
      if (!has(listed, first)) return;
      await run(first);
      const adapterDir = join(first.outputDir, 'adapter');
      const form = { modulesToSave: BOTH, ensureWeightTying: modelDir === 'model' };
      const opened = async (dir: string) => openPeftAdapter(join(dir, 'adapter'), { beyondLora: true });
      expect((await opened(first.outputDir)).config).toMatchObject(form);
      const { tuned } = await resultOf(first);

      const scored = spec({ modelDir, mode: 'score', adapterDir });
      await run(scored);
      const [event] = await eventsOfType(scored.outputDir, 'result');
      expect(event?.result).toMatchObject({ tuned: { loss: expect.closeTo(tuned?.loss ?? 0, 4) } });

      const next = { modelDir, adapterDir, tuning: first.tuning };
      const runsOn = [spec({ ...next, memoryMode: 'whole-step' }), spec({ ...next, memoryMode: 'layer-recompute' })];
      for (const asked of runsOn) {
        await run(asked);
        const { base, tuned: better } = await resultOf(asked);
        expect(base?.loss).toBeCloseTo(tuned?.loss ?? 0, 4);
        expect(better?.loss).toBeLessThan(base?.loss ?? 0);
        expect((await opened(asked.outputDir)).config).toMatchObject(form);
      }
      const [whole = [], layers = []] = await Promise.all(runsOn.map(losses));
      whole.forEach((loss, i) => expect(Math.abs(loss - (layers[i] ?? 0))).toBeLessThan(2e-3));
    },
    TIMEOUT_MS,
  );

  it.each([
    ['more layers than the model has', { tuning: { type: 'freeze', trainableLayers: 3 } }, 'tuning.trainableLayers'],
    ['one of two that are one matrix', { tuning: adapter({ modulesToSave: ['lm_head'] }) }, 'tuning.modulesToSave'],
    ['all weights on top of an adapter', { tuning: { type: 'full' }, adapterDir: '/nowhere' }, 'adapterDir'],
  ] as [string, Partial<RuntimeSpec>, string][])(
    'refuses %s: 41, by the field',
    async (_what, changes, field) => {
      const asked = spec(changes);
      if (!has(listed, asked)) return;
      const { code } = await (await RuntimeProcess.startSpec(command, asked)).ended;
      const [failed] = await eventsOfType(asked.outputDir, 'failed');
      expect({ code, failed }).toMatchObject({ code: 41, failed: { code: 'config.bad' } });
      expect(failed?.message).toContain(`${field}: `);
    },
    TIMEOUT_MS,
  );
}
