import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RUN_FEATURES, capabilities, featuresAsked, rehearseResult, trainResult } from '@luthier/contracts';
import type { RunFeature, RuntimeSpec } from '@luthier/contracts';
import { openPeftAdapter } from '@luthier/formats';
import { waitFor } from '@luthier/testing';
import { trainSpec, writeTinyData, writeTinyModel } from './fixtures.js';
import { RuntimeProcess, eventsOfType, readEvents } from './runtime-process.js';
import type { RuntimeExit } from './runtime-process.js';

/** For what starts a runtime and waits for its steps: importing a big library takes long on a busy machine. */
const START_TIMEOUT_MS = 120_000;

/**
 * What every runtime has to keep; to be called within a `describe`. `command` is what a profile of the trainer would name;
 * `quick` does the same and starts sooner, for guarantees that do not depend on how the process was started. `always` is
 * asked of every run.
 */
export function describeConformance(
  command: readonly string[],
  quick = command,
  always: Pick<RuntimeSpec, 'precision'> = {},
): void {
  jest.setTimeout(4 * START_TIMEOUT_MS);
  let root: string;
  let folders: { modelDir: string; trainDir: string; heldOutDir: string };
  let runs = 0;

  const spec = (changes: Partial<RuntimeSpec> = {}): RuntimeSpec => {
    runs += 1;
    return { ...trainSpec({ ...folders, outputDir: join(root, `out-${runs}`) }), ...always, ...changes };
  };
  /** Seven steps an epoch, each with a checkpoint: what is done to it while it trains comes in time on a busy machine, too. */
  const slow = (epochs: number): RuntimeSpec => {
    const base = spec({ checkpointing: { everySteps: 1, keepLast: 2 } });
    return { ...base, hyperparameters: { ...base.hyperparameters, epochs } };
  };
  const run = async (changed: RuntimeSpec): Promise<RuntimeExit> =>
    (await RuntimeProcess.startSpec(quick, changed)).ended;
  const losses = async (outputDir: string): Promise<number[]> =>
    (await eventsOfType(outputDir, 'step')).map(({ loss }) => loss);
  const failure = async (
    changed: RuntimeSpec,
  ): Promise<{ exit: number | null; code: string | undefined; message: string }> => {
    const { code } = await run(changed);
    const failed = (await eventsOfType(changed.outputDir, 'failed')).at(-1);
    return { exit: code, code: failed?.code, message: failed?.message ?? '' };
  };
  /** Puts the stop file in place as soon as the run says what `when` waits for. */
  const stopWhen = async (started: RuntimeSpec, type: 'step' | 'phase', count: number): Promise<RuntimeExit> => {
    const runtime = await RuntimeProcess.startSpec(quick, started);
    let ended = false;
    void runtime.ended.then(() => (ended = true));
    await waitFor(async () => ended || (await eventsOfType(started.outputDir, type)).length >= count, {
      ...{ intervalMs: 5, timeoutMs: START_TIMEOUT_MS },
    });
    await writeFile(join(started.outputDir, 'stop'), '');
    return runtime.ended;
  };

  beforeAll(async () => {
    const program = command.at(-1) ?? '';
    if (!existsSync(program)) throw new Error(`build first: ${program} does not exist`);
    root = await mkdtemp(join(tmpdir(), 'luthier-conformance-'));
    folders = { modelDir: join(root, 'model'), trainDir: join(root, 'train'), heldOutDir: join(root, 'held-out') };
    await writeTinyModel(folders.modelDir);
    await writeTinyData(folders.trainDir, 33, 1);
    await writeTinyData(folders.heldOutDir, 7, 2);
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  it('prints its capabilities', async () => {
    const { code, log } = await RuntimeProcess.start(command, ['capabilities']).ended;
    expect(code).toBe(0);
    expect(capabilities.parse(JSON.parse(log)).modes).toContain('train');
  });

  it('rehearses with the longest rows, where it lists that mode', async () => {
    const { log } = await RuntimeProcess.start(command, ['capabilities']).ended;
    if (!capabilities.parse(JSON.parse(log)).modes.includes('rehearse')) return;
    const asked = spec({ mode: 'rehearse' });
    expect((await run(asked)).code).toBe(0);
    const steps = await eventsOfType(asked.outputDir, 'step');
    const result = rehearseResult.parse((await eventsOfType(asked.outputDir, 'result'))[0]?.result);
    expect(result).toMatchObject({ steps: steps.length, tokensPerStep: steps[0]?.tokens });
  });

  describe('a run to the end', () => {
    let done: RuntimeSpec;
    let exit: RuntimeExit;
    beforeAll(async () => {
      done = spec();
      exit = await (await RuntimeProcess.startSpec(command, done)).ended;
    });

    it('exits 0 with valid events numbered from 1', async () => {
      expect(exit.log).toBe('');
      expect(exit.code).toBe(0);
      const events = await readEvents(done.outputDir);
      expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i + 1));
      expect(events[0]).toMatchObject({ type: 'started', resumeStep: 0, worldSize: 1 });
    });

    it('takes every row once an epoch, the smaller last batch included', async () => {
      const steps = await eventsOfType(done.outputDir, 'step');
      expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 14 }, (_, i) => i + 1));
      const manifest = JSON.parse(await readFile(join(folders.trainDir, 'manifest.json'), 'utf8')) as {
        tokens: number;
      };
      expect(steps.slice(0, 7).reduce((sum, { tokens }) => sum + tokens, 0)).toBe(manifest.tokens);
      expect(steps.every(({ totalSteps }) => totalSteps === 14)).toBe(true);
    });

    it('scores base and tuned on the held-out rows and learns', async () => {
      const [event] = await eventsOfType(done.outputDir, 'result');
      const result = trainResult.parse(event?.result);
      expect(result.lastLoss).toBeLessThan(result.firstLoss);
      expect(result.tuned?.loss).toBeLessThan(result.base?.loss ?? 0);
      expect(result.base?.rows).toBe(7);
      expect(result.base?.perplexity).toBeCloseTo(Math.exp(result.base?.loss ?? 0), 6);
    });

    it('evaluates and saves at the intervals asked for and keeps the last two checkpoints', async () => {
      expect((await eventsOfType(done.outputDir, 'evaluation')).map(({ step }) => step)).toEqual([4, 8, 12]);
      const saved = await eventsOfType(done.outputDir, 'checkpoint');
      expect(saved.map(({ step }) => step)).toEqual([3, 6, 9, 12, 14]);
      expect(saved.map(({ dir }) => existsSync(join(done.outputDir, dir)))).toEqual([false, false, false, true, true]);
    });

    it('leaves an adapter that PEFT names fit', async () => {
      const adapter = await openPeftAdapter(join(done.outputDir, 'adapter'));
      expect(adapter.weights.tensors.size).toBe(2 * 7 * 2);
      expect(adapter.weights.get('base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight').shape).toEqual([
        4, 32,
      ]);
    });

    it('gives the same losses again, and in either memory mode', async () => {
      const expected = await losses(done.outputDir);
      const again = spec({ memoryMode: 'whole-step' });
      await run(again);
      expect(await losses(again.outputDir)).toEqual(expected);
      const other = spec({ memoryMode: 'layer-recompute' });
      await run(other);
      (await losses(other.outputDir)).forEach((loss, i) => expect(loss).toBeCloseTo(expected[i] ?? 0, 4));
    });

    it('goes on from its stop exactly as if it had never stopped, base scores included', async () => {
      const many = (): RuntimeSpec => slow(30);
      const whole = many();
      await run(whole);
      const stopped = many();
      expect((await stopWhen(stopped, 'step', 2)).code).toBe(60);
      const saved = (await eventsOfType(stopped.outputDir, 'checkpoint')).at(-1);
      expect(saved?.step).toBeGreaterThanOrEqual(2);
      const first = await losses(stopped.outputDir);
      expect(first.length).toBe(saved?.step);
      const resumed = { ...many(), incarnation: 2, resumeFrom: join(stopped.outputDir, saved?.dir ?? '') };
      expect((await run(resumed)).code).toBe(0);
      expect((await readEvents(resumed.outputDir))[0]).toMatchObject({ type: 'started', resumeStep: saved?.step });
      expect([...first, ...(await losses(resumed.outputDir))]).toEqual(await losses(whole.outputDir));
      const phases = (await eventsOfType(resumed.outputDir, 'phase')).map(({ phase }) => phase);
      expect(phases).not.toContain('scoring-base');
      const pick = async (dir: string): Promise<unknown> => {
        const result = trainResult.parse((await eventsOfType(dir, 'result'))[0]?.result);
        return { base: result.base, tuned: result.tuned, firstLoss: result.firstLoss, tokens: result.tokens };
      };
      expect(await pick(resumed.outputDir)).toEqual(await pick(whole.outputDir));
    });

    it('resumed at its last step, saves and scores at once', async () => {
      const last = (await eventsOfType(done.outputDir, 'checkpoint')).at(-1);
      const resumed = spec({ resumeFrom: join(done.outputDir, last?.dir ?? '') });
      expect((await run(resumed)).code).toBe(0);
      expect(await losses(resumed.outputDir)).toEqual([]);
      expect(existsSync(join(resumed.outputDir, 'adapter', 'adapter_model.safetensors'))).toBe(true);
    });

    it('scores an adapter against its base', async () => {
      const scored = spec({ mode: 'score', adapterDir: join(done.outputDir, 'adapter') });
      expect((await run(scored)).code).toBe(0);
      const trained = trainResult.parse((await eventsOfType(done.outputDir, 'result'))[0]?.result);
      const [event] = await eventsOfType(scored.outputDir, 'result');
      expect(event?.result).toMatchObject({ mode: 'score', base: trained.base, tuned: trained.tuned });
    });

    it('going on from an adapter, takes the model with it for its base', async () => {
      const further = spec({ adapterDir: join(done.outputDir, 'adapter') });
      expect((await run(further)).code).toBe(0);
      const [before, after] = await Promise.all(
        [done, further].map(async ({ outputDir }) =>
          trainResult.parse((await eventsOfType(outputDir, 'result'))[0]?.result),
        ),
      );
      expect(after?.base).toEqual(before?.tuned);
      expect(after?.tuned).not.toEqual(before?.tuned);
    });
  });

  it('stopped before its first step, saves step 0 and leaves', async () => {
    const stopped = slow(50);
    const exit = await stopWhen(stopped, 'phase', 1);
    expect(exit.code).toBe(60);
    expect((await eventsOfType(stopped.outputDir, 'checkpoint')).at(-1)?.step).toBeGreaterThanOrEqual(0);
    expect(await eventsOfType(stopped.outputDir, 'result')).toEqual([]);
  });

  it('repeats its losses with dropout', async () => {
    const tuning = {
      type: 'lora',
      r: 4,
      loraAlpha: 8,
      loraDropout: 0.2,
      targetModules: ['q_proj', 'down_proj'],
      useRslora: true,
    } as const;
    const [first, second] = [
      spec({ tuning: { ...tuning, targetModules: [...tuning.targetModules] } }),
      spec({ tuning: { ...tuning, targetModules: [...tuning.targetModules] } }),
    ];
    await run(first);
    await run(second);
    expect((await losses(first.outputDir)).length).toBe(14);
    expect(await losses(second.outputDir)).toEqual(await losses(first.outputDir));
  });

  it('ends when its parent is gone', async () => {
    const started = slow(50);
    const runtime = await RuntimeProcess.startSpec(command, started);
    await waitFor(async () => (await eventsOfType(started.outputDir, 'step')).length >= 1, {
      ...{ intervalMs: 5, timeoutMs: START_TIMEOUT_MS },
    });
    runtime.child.stdin.end();
    const { code, signal } = await runtime.ended;
    expect(code === 0 || code === 60 ? 'finished' : (signal ?? code)).not.toBe('finished');
    expect(await eventsOfType(started.outputDir, 'result')).toEqual([]);
  });

  it('leaves at once on SIGTERM without saving', async () => {
    const started = slow(50);
    const runtime = await RuntimeProcess.startSpec(command, started);
    await waitFor(async () => (await eventsOfType(started.outputDir, 'step')).length >= 1, {
      ...{ intervalMs: 5, timeoutMs: START_TIMEOUT_MS },
    });
    runtime.child.kill('SIGTERM');
    expect((await runtime.ended).code).not.toBe(0);
    expect(await eventsOfType(started.outputDir, 'result')).toEqual([]);
  });

  describe('faults have a code, a hint and an exit status', () => {
    it('data that are missing: 40', async () => {
      const bad = spec({ data: { trainDir: join(root, 'nowhere') } });
      expect(await failure(bad)).toMatchObject({ exit: 40, code: 'data.bad' });
    });

    it('data whose bytes are not those of the manifest: 40', async () => {
      const dir = join(root, 'torn');
      await writeTinyData(dir, 3);
      const shard = join(dir, 'shard-00000.safetensors');
      const bytes = await readFile(shard);
      bytes[bytes.length - 1] = 7;
      await writeFile(shard, bytes);
      expect(await failure(spec({ data: { trainDir: dir } }))).toMatchObject({ exit: 40, code: 'data.bad' });
    });

    it('data of another tokenizer: 40', async () => {
      const dir = join(root, 'foreign');
      await writeTinyData(dir, 9, 1, 5000);
      expect(await failure(spec({ data: { trainDir: dir } }))).toMatchObject({ exit: 40, code: 'data.bad' });
    });

    it('what its capabilities do not list: 41, by the field that asks for it', async () => {
      const { log } = await RuntimeProcess.start(quick, ['capabilities']).ended;
      const listed = capabilities.parse(JSON.parse(log)).features ?? [];
      const { tuning, hyperparameters } = spec();
      const asked: Record<RunFeature, Partial<RuntimeSpec>> = {
        dora: { tuning: { ...tuning, useDora: true } as RuntimeSpec['tuning'] },
        pissa: { tuning: { ...tuning, initLoraWeights: 'pissa' } as RuntimeSpec['tuning'] },
        loraplus: { tuning: { ...tuning, loraplusLrRatio: 16 } as RuntimeSpec['tuning'] },
        neftune: { hyperparameters: { ...hyperparameters, neftuneNoiseAlpha: 5 } },
        'label-smoothing': { hyperparameters: { ...hyperparameters, labelSmoothingFactor: 0.1 } },
        adamw8bit: { hyperparameters: { ...hyperparameters, optimizer: 'adamw8bit' } },
        adafactor: { hyperparameters: { ...hyperparameters, optimizer: 'adafactor' } },
        nf4: { tuning: { ...tuning, type: 'qlora', bits: 4 } as RuntimeSpec['tuning'] },
        // Of no adapter, whatever is listed.
        muon: { hyperparameters: { ...hyperparameters, optimizer: 'muon' } },
        'modules-to-save': { tuning: { ...tuning, modulesToSave: ['lm_head'] } as RuntimeSpec['tuning'] },
        'early-stopping': { hyperparameters: { ...hyperparameters, earlyStoppingPatience: 2 } },
      };
      for (const feature of RUN_FEATURES.filter((name) => name === 'muon' || !listed.includes(name))) {
        const changed = { ...spec(), ...asked[feature] };
        const [field] = featuresAsked(changed).map((one) => one.field);
        const refused = { exit: 41, code: 'config.bad', message: expect.stringContaining(`${field}: `) };
        expect(await failure(changed)).toEqual(refused);
        expect(await eventsOfType(changed.outputDir, 'phase')).toEqual([]);
      }
    });

    it('a target module that does not exist: 41', async () => {
      const tuning = {
        type: 'lora' as const,
        r: 4,
        loraAlpha: 8,
        loraDropout: 0,
        targetModules: ['nonsense'],
        useRslora: false,
      };
      expect(await failure(spec({ tuning }))).toMatchObject({ exit: 41, code: 'config.bad' });
    });

    it('a run that cannot fit, with the numbers: 42', async () => {
      const found = await failure(spec({ limits: { memoryMib: 10, cpu: 1, deadlineSeconds: 60 } }));
      expect(found).toMatchObject({ exit: 42, code: 'device.out-of-memory' });
      expect(found.message).toMatch(/\d+ MiB.*weights.*10 MiB/);
    });

    it('a loss that is not finite, with its step: 43', async () => {
      const base = spec();
      const wild = {
        ...base,
        hyperparameters: {
          ...base.hyperparameters,
          learningRate: 1,
          schedule: 'constant' as const,
          warmupRatio: 0,
          epochs: 4,
        },
        modelDir: join(root, 'infinite'),
      };
      await writeTinyModel(wild.modelDir);
      const path = join(wild.modelDir, 'model.safetensors');
      const bytes = await readFile(path);
      // The last tensor in name order holds a NaN in BF16 (0x7fc0), little-endian.
      bytes.writeUInt16LE(0x7fc0, bytes.length - 2);
      await writeFile(path, bytes);
      const { heldOutDir: _, ...data } = wild.data;
      const found = await failure({ ...wild, data });
      expect(found).toMatchObject({ exit: 43, code: 'training.diverged' });
      expect((await eventsOfType(wild.outputDir, 'failed'))[0]?.step).toBe(1);
    });

    it('a model that is missing, torn or of another architecture: 44', async () => {
      expect(await failure(spec({ modelDir: join(root, 'nowhere') }))).toMatchObject({
        exit: 44,
        code: 'model.unreadable',
      });
      const torn = join(root, 'torn-model');
      await writeTinyModel(torn);
      await writeFile(
        join(torn, 'model.safetensors'),
        (await readFile(join(torn, 'model.safetensors'))).subarray(0, 5000),
      );
      expect(await failure(spec({ modelDir: torn }))).toMatchObject({ exit: 44, code: 'model.unreadable' });
      const other = join(root, 'other-model');
      await writeTinyModel(other);
      await writeFile(join(other, 'config.json'), JSON.stringify({ model_type: 'bert' }));
      expect(await failure(spec({ modelDir: other }))).toMatchObject({ exit: 44, code: 'model.unreadable' });
    });

    it('a spec that is not valid: 41', async () => {
      const path = join(root, 'bad.spec.json');
      await writeFile(path, JSON.stringify({ ...spec(), seed: 'x' }));
      expect((await RuntimeProcess.start(command, ['train', path]).ended).code).toBe(41);
    });
  });
}
