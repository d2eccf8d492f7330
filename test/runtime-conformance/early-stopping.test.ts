import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { trainResult } from '@luthier/contracts';
import type { RuntimeSpec } from '@luthier/contracts';
import { removeHome, tempDir } from '@luthier/testing';
import { trainSpec, writeTinyData, writeTinyModel, writeTinyPairs } from './fixtures.js';
import { RuntimeProcess, eventsOfType } from './runtime-process.js';

const command = [process.execPath, join(import.meta.dirname, '../../services/runtime-node/dist/main.js')];
const TIMEOUT_MS = 240_000;
const PATIENCE = 2;
const EVERY = 3;

describe('runtime-node with early stopping', () => {
  let root = '';
  let runs = 0;
  /** Few rows, learnt by heart: the loss on others falls, then rises. */
  const spec = (
    changes: Partial<RuntimeSpec> = {},
    hyperparameters: Partial<RuntimeSpec['hyperparameters']> = {},
  ): RuntimeSpec => {
    runs += 1;
    const data = changes.method?.type === 'dpo' ? 'pairs' : 'rows';
    const [modelDir, trainDir, heldOutDir] = ['model', `${data}-train`, `${data}-held-out`].map((name) =>
      join(root, name),
    ) as [string, string, string];
    const plain = trainSpec({ modelDir, trainDir, heldOutDir, outputDir: join(root, `out-${runs}`) });
    const overfitting = { epochs: 50, learningRate: 0.02, schedule: 'constant', warmupRatio: 0 } as const;
    return {
      ...plain,
      checkpointing: { everySteps: 1, keepLast: 100 },
      ...changes,
      hyperparameters: {
        ...{ ...plain.hyperparameters, ...overfitting },
        ...{ evaluationSteps: EVERY, earlyStoppingPatience: PATIENCE, ...hyperparameters },
      },
    };
  };
  const run = async (asked: RuntimeSpec): Promise<void> => {
    const { code, log } = await (await RuntimeProcess.startSpec(command, asked)).ended;
    expect({ code, log }).toEqual({ code: 0, log: '' });
  };
  const resultOf = async ({ outputDir }: RuntimeSpec) =>
    trainResult.parse((await eventsOfType(outputDir, 'result'))[0]?.result);
  const evaluationsOf = async ({ outputDir }: RuntimeSpec) =>
    (await eventsOfType(outputDir, 'evaluation')).map(({ step, loss }) => ({ step, loss }));
  const artifactOf = (asked: RuntimeSpec): Promise<Buffer> =>
    readFile(
      join(asked.outputDir, asked.tuning.type === 'full' ? 'model/model' : 'adapter/adapter_model') + '.safetensors',
    );

  beforeAll(async () => {
    root = await tempDir('early-stopping');
    await writeTinyModel(join(root, 'model'));
    await writeTinyData(join(root, 'rows-train'), 5, 1);
    await writeTinyData(join(root, 'rows-held-out'), 6, 2);
    await writeTinyPairs(join(root, 'pairs-train'), 5, 1);
    await writeTinyPairs(join(root, 'pairs-held-out'), 6, 2);
  });
  afterAll(() => removeHome(root));

  it.each<[string, Partial<RuntimeSpec>, number]>([
    ['an adapter', {}, 0.02],
    ['a whole model', { tuning: { type: 'full' } }, 0.02],
    ['an adapter trained by DPO', { method: { type: 'dpo', loss: 'sigmoid', beta: 0.1, labelSmoothing: 0 } }, 0.02],
  ])(
    'ends once the held-out loss no longer falls, keeps %s of the best evaluation, and resumes from anywhere to the same bytes',
    async (_, changes, learningRate) => {
      const asked = spec(changes, { learningRate });
      await run(asked);
      const evaluations = await evaluationsOf(asked);
      const best = evaluations.reduce((low, one) => (one.loss < low.loss ? one : low));
      const { steps, tuned } = await resultOf(asked);
      expect(steps).toBeLessThan(50);
      expect(best.step).toBe(steps - PATIENCE * EVERY);
      expect(tuned?.loss).toBe(best.loss);
      expect((await eventsOfType(asked.outputDir, 'step')).at(-1)?.step).toBe(steps);
      const [said] = await eventsOfType(asked.outputDir, 'warning');
      expect(said).toMatchObject({ code: 'training.ended-early' });
      expect(said?.message).toContain(`step ${steps} of 50`);
      expect(said?.message).toContain(`step ${best.step} is kept`);

      // The artifact is the best model, read anew.
      const scored = { ...spec({ ...changes, mode: 'score' }), hyperparameters: asked.hyperparameters };
      await run(
        changes.tuning
          ? { ...scored, modelDir: join(asked.outputDir, 'model') }
          : { ...scored, adapterDir: join(asked.outputDir, 'adapter') },
      );
      const [event] = await eventsOfType(scored.outputDir, 'result');
      expect(event?.result).toMatchObject({ [changes.tuning ? 'base' : 'tuned']: { loss: best.loss } });

      // Before the best evaluation; saved, but not yet evaluated, at the best; between two; and at the end.
      for (const step of [best.step - 1, best.step, best.step + 1, steps]) {
        const saved = (await eventsOfType(asked.outputDir, 'checkpoint')).find((one) => one.step === step);
        const resumed = spec(
          { ...changes, incarnation: 2, resumeFrom: join(asked.outputDir, saved?.dir ?? '') },
          { learningRate },
        );
        await run(resumed);
        expect(await evaluationsOf(resumed)).toEqual(evaluations.filter((one) => one.step >= step));
        const again = await resultOf(resumed);
        expect({ steps: again.steps, tuned: again.tuned }).toEqual({ steps, tuned });
        expect((await artifactOf(resumed)).equals(await artifactOf(asked))).toBe(true);
      }
    },
    TIMEOUT_MS,
  );

  it(
    'evaluates the last step, too, and keeps the best of all where the patience does not run out',
    async () => {
      // So high a rate that the last evaluation is clearly not the best.
      const asked = spec({}, { earlyStoppingPatience: 40, learningRate: 0.04 });
      await run(asked);
      const evaluations = await evaluationsOf(asked);
      expect(evaluations.at(-1)?.step).toBe(50);
      const best = evaluations.reduce((low, one) => (one.loss < low.loss ? one : low));
      expect(best.step).toBeLessThan(50);
      expect(await resultOf(asked)).toMatchObject({ steps: 50, tuned: { loss: best.loss } });
      expect(await eventsOfType(asked.outputDir, 'warning')).toMatchObject([{ code: 'training.best-kept' }]);
    },
    TIMEOUT_MS,
  );

  it(
    'changes nothing of a run whose last model is the best',
    async () => {
      const few = { maxSteps: 6 };
      const [asked, plain] = [spec({}, few), spec({}, few)];
      const { earlyStoppingPatience: _, ...hyperparameters } = plain.hyperparameters;
      await run(asked);
      await run({ ...plain, hyperparameters });
      expect((await artifactOf(asked)).equals(await artifactOf(plain))).toBe(true);
      expect(await eventsOfType(asked.outputDir, 'warning')).toEqual([]);
    },
    TIMEOUT_MS,
  );

  it(
    'stopped while it goes on, leaves a checkpoint from which the same model comes',
    async () => {
      const whole = spec();
      await run(whole);
      const stopped = spec();
      const started = await RuntimeProcess.startSpec(command, stopped);
      await writeFile(join(stopped.outputDir, 'stop'), '');
      expect((await started.ended).code).toBe(60);
      const saved = (await eventsOfType(stopped.outputDir, 'checkpoint')).at(-1);
      const resumed = spec({ incarnation: 2, resumeFrom: join(stopped.outputDir, saved?.dir ?? '') });
      await run(resumed);
      expect((await artifactOf(resumed)).equals(await artifactOf(whole))).toBe(true);
    },
    TIMEOUT_MS,
  );

  it.each<[string, () => RuntimeSpec]>([
    ['evaluations', () => spec({}, { evaluationSteps: null })],
    ['held-out rows', () => spec({ data: { trainDir: join(root, 'rows-train') } })],
  ])(
    'is refused without %s: 41, by the field',
    async (_, make) => {
      const asked = make();
      const { code } = await (await RuntimeProcess.startSpec(command, asked)).ended;
      const [failed] = await eventsOfType(asked.outputDir, 'failed');
      expect({ code, failed }).toMatchObject({ code: 41, failed: { code: 'config.bad' } });
      expect(failed?.message).toContain('hyperparameters.earlyStoppingPatience: ');
    },
    TIMEOUT_MS,
  );
});
