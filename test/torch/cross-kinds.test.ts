import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { join, resolve } from 'node:path';
import { scoreResult, trainResult } from '@luthier/contracts';
import type { RuntimeSpec } from '@luthier/contracts';
import { removeHome, tempDir } from '@luthier/testing';
import { trainSpec, writeTinyKinds } from '../runtime-conformance/fixtures.js';
import { RuntimeProcess, eventsOfType } from '../runtime-conformance/runtime-process.js';
import { describeWithTorch } from './torch-environment.js';
import { warmRuntime } from './warm-runtime.js';

const node = [process.execPath, join(import.meta.dirname, '../../services/runtime-node/dist/main.js')];
/** Both sum in float32, in another order. */
const TOLERANCE = 2e-3;

const { tuning: lora, hyperparameters } = trainSpec({ modelDir: '-', trainDir: '-', heldOutDir: '-', outputDir: '-' });
const adapter = (changes: object): RuntimeSpec['tuning'] => Object.assign({}, lora, changes);
const gentle = { ...hyperparameters, learningRate: 0.002 };

const BOTH = ['embed_tokens', 'lm_head'];

const KINDS: readonly [string, Partial<RuntimeSpec>][] = [
  ['full', { tuning: { type: 'full' }, hyperparameters: gentle }],
  ['freeze', { tuning: { type: 'freeze', trainableLayers: 1 }, hyperparameters: gentle }],
  ['adafactor', { tuning: { type: 'full' }, hyperparameters: { ...gentle, optimizer: 'adafactor' } }],
  ['dora', { tuning: adapter({ useDora: true }) }],
  ['dora with LoRA+', { tuning: adapter({ useDora: true, useRslora: true, loraplusLrRatio: 4 }) }],
  ['embeddings and head, tied', { tuning: adapter({ modulesToSave: BOTH }), hyperparameters: gentle }],
  ['embeddings and head', { tuning: adapter({ modulesToSave: BOTH }), hyperparameters: gentle, modelDir: 'untied' }],
  [
    'a head',
    { tuning: adapter({ modulesToSave: ['lm_head'], useDora: true }), modelDir: 'untied', hyperparameters: gentle },
  ],
  ['label smoothing', { hyperparameters: { ...hyperparameters, labelSmoothingFactor: 0.1 } }],
  ['dpo, sigmoid', { method: { type: 'dpo', loss: 'sigmoid', beta: 0.1, labelSmoothing: 0.1 } }],
  ['dpo, ipo', { method: { type: 'dpo', loss: 'ipo', beta: 0.5, labelSmoothing: 0 } }],
  ['dpo, hinge', { method: { type: 'dpo', loss: 'hinge', beta: 0.1, labelSmoothing: 0 } }],
  ['orpo', { method: { type: 'orpo', beta: 0.1 } }],
  ['simpo', { method: { type: 'simpo', beta: 2, gamma: 0.5 } }],
  ['kto', { method: { type: 'kto', beta: 0.1, desirableWeight: 1, undesirableWeight: 1.5 } }],
];

describeWithTorch('what both runtimes can train', () => {
  jest.setTimeout(480_000);
  const torch = warmRuntime();
  let root = '';
  let runs = 0;
  const spec = (changes: Partial<RuntimeSpec>): RuntimeSpec => {
    runs += 1;
    const kind = changes.method?.type ?? 'supervised';
    const data = kind === 'kto' ? 'rated' : kind === 'supervised' ? 'rows' : 'pairs';
    const [trainDir, heldOutDir] = [join(root, `${data}-train`), join(root, `${data}-held-out`)];
    const outputDir = join(root, `out-${runs}`);
    const modelDir = resolve(root, changes.modelDir ?? 'model');
    return { ...trainSpec({ modelDir, trainDir, heldOutDir, outputDir }), ...changes, modelDir };
  };
  const run = async (runtime: readonly string[], asked: RuntimeSpec): Promise<RuntimeSpec> => {
    const { code, log } = await (await RuntimeProcess.startSpec(runtime, asked)).ended;
    expect({ code, log }).toEqual({ code: 0, log: '' });
    return asked;
  };
  const resultOf = async ({ outputDir }: RuntimeSpec): Promise<unknown> =>
    (await eventsOfType(outputDir, 'result'))[0]?.result;

  beforeAll(async () => {
    root = await tempDir('cross-kinds');
    await writeTinyKinds(root);
  });
  afterAll(() => removeHome(root));

  const expectAlike = (ours: Readonly<Record<string, number>>, theirs: Readonly<Record<string, number>>): void => {
    expect(Object.keys(ours).sort()).toEqual(Object.keys(theirs).sort());
    for (const [name, value] of Object.entries(ours))
      expect([name, Math.abs(value - (theirs[name] ?? 0)) < 10 * TOLERANCE]).toEqual([name, true]);
  };

  it.each(KINDS)('%s: the same losses, gradients, metrics and scores', async (_kind, changes) => {
    const [own, other] = [await run(node, spec(changes)), await run(torch, spec(changes))];
    const [ours, theirs] = [await eventsOfType(own.outputDir, 'step'), await eventsOfType(other.outputDir, 'step')];
    expect(ours.length).toBe(10);
    ours.forEach((step, i) => {
      const same = theirs[i];
      expect([step.tokens, step.trainedTokens]).toEqual([same?.tokens, same?.trainedTokens]);
      expect(Math.abs(step.loss - (same?.loss ?? 0))).toBeLessThan(TOLERANCE);
      expect(step.gradNorm / (same?.gradNorm ?? 0)).toBeCloseTo(1, 1);
      const { tokensPerSecond: _ours, ...metrics } = step.metrics;
      const { tokensPerSecond: _theirs, ...expected } = same?.metrics ?? {};
      expectAlike(metrics, expected);
    });
    const [our, their] = [trainResult.parse(await resultOf(own)), trainResult.parse(await resultOf(other))];
    for (const which of ['base', 'tuned'] as const) {
      const [score, same] = [our[which], their[which]];
      if (!score || !same) throw new Error(`there is no score of the ${which} model`);
      expectAlike(score.metrics ?? {}, same.metrics ?? {});
      expect(score).toMatchObject({ rows: same.rows, trainedTokens: same.trainedTokens });
      expect(Math.abs(score.loss - same.loss)).toBeLessThan(TOLERANCE);
      expect(score.tokenAccuracy).toBeCloseTo(same.tokenAccuracy ?? 0, 1);
    }
    expect(our.artifactDir).toBe(their.artifactDir);
  });

  it.each([
    ['a DoRA adapter', { tuning: adapter({ useDora: true, r: 3 }) }],
    ['an adapter with embeddings and head', { tuning: adapter({ modulesToSave: BOTH }), modelDir: 'untied' }],
    ['an adapter with tied embeddings and head', { tuning: adapter({ modulesToSave: BOTH }) }],
    ['a whole model', { tuning: { type: 'full' }, hyperparameters: gentle }],
  ] as [string, Partial<RuntimeSpec>][])('read %s of each other', async (_what, changes) => {
    const made = { node: await run(node, spec(changes)), torch: await run(torch, spec(changes)) };
    const scored = async (
      runtime: readonly string[],
      { outputDir, tuning, modelDir }: RuntimeSpec,
    ): Promise<number> => {
      const whole = tuning.type === 'full';
      const read = whole
        ? { modelDir: join(outputDir, 'model') }
        : { modelDir, adapterDir: join(outputDir, 'adapter') };
      const asked = await run(runtime, spec({ mode: 'score', ...read }));
      const { base, tuned } = scoreResult.parse(await resultOf(asked));
      return (whole ? base : tuned)?.loss ?? 0;
    };
    for (const result of [made.node, made.torch]) {
      const [byNode, byTorch] = [await scored(node, result), await scored(torch, result)];
      expect(Math.abs(byNode - byTorch)).toBeLessThan(1e-4);
      expect(byNode).toBeCloseTo(trainResult.parse(await resultOf(result)).tuned?.loss ?? 0, 3);
    }
  });

  it('goes on from the adapter of the other, which is then the reference', async () => {
    const started = await run(torch, spec({ tuning: adapter({ useDora: true, r: 3 }) }));
    const next: Partial<RuntimeSpec> = {
      adapterDir: join(started.outputDir, 'adapter'),
      method: { type: 'dpo', loss: 'sigmoid', beta: 0.1, labelSmoothing: 0 },
    };
    const [own, other] = [await run(node, spec(next)), await run(torch, spec(next))];
    const [ours, theirs] = [await eventsOfType(own.outputDir, 'step'), await eventsOfType(other.outputDir, 'step')];
    expect(ours[0]?.loss).toBeCloseTo(Math.LN2, 5);
    ours.forEach(({ loss }, i) => expect(Math.abs(loss - (theirs[i]?.loss ?? 0))).toBeLessThan(TOLERANCE));
  });
});
