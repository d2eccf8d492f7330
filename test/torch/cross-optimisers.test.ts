import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { join } from 'node:path';
import type { RuntimeSpec } from '@luthier/contracts';
import { openSafetensors } from '@luthier/formats';
import type { ModelConfig } from '@luthier/formats';
import { removeHome, tempDir } from '@luthier/testing';
import { WIDE, trainSpec, writeTinyData, writeTinyModel } from '../runtime-conformance/fixtures.js';
import { RuntimeProcess, eventsOfType } from '../runtime-conformance/runtime-process.js';
import { describeWithTorch } from './torch-environment.js';
import { warmRuntime } from './warm-runtime.js';

const node = [process.execPath, join(import.meta.dirname, '../../services/runtime-node/dist/main.js')];
/** Both sum in float32, in another order. */
const LOSS_TOLERANCE = 2e-3;
/** Measured at most 7e-6; decay alone would move a bias or norm by 1e-3. */
const TENSOR_TOLERANCE = 5e-5;
/** Measured at most 2e-4, where a sum fell into the neighbouring code; a step is up to 2e-3. */
const CODES_TOLERANCE = 1e-3;

/** With biases and norms. */
const QWEN2: ModelConfig = {
  ...WIDE,
  ...{ architecture: 'Qwen2ForCausalLM', modelType: 'qwen2', queryKeyValueBias: true },
};

interface Trained {
  readonly losses: readonly number[];
  readonly tensors: ReadonlyMap<string, Float32Array>;
}

describeWithTorch('what both runtimes make of all weights of a Qwen 2', () => {
  jest.setTimeout(480_000);
  const torch = warmRuntime();
  let root = '';
  let runs = 0;
  const run = async (
    runtime: readonly string[],
    settings: Partial<RuntimeSpec['hyperparameters']>,
  ): Promise<Trained> => {
    runs += 1;
    const outputDir = join(root, `out-${runs}`);
    const folders = { modelDir: join(root, 'model'), trainDir: join(root, 'train'), heldOutDir: '-', outputDir };
    const plain = trainSpec(folders);
    const spec: RuntimeSpec = {
      ...{ ...plain, tuning: { type: 'full' }, data: { trainDir: folders.trainDir } },
      hyperparameters: { ...plain.hyperparameters, learningRate: 0.002, ...settings },
    };
    const { code, log } = await (await RuntimeProcess.startSpec(runtime, spec)).ended;
    expect({ code, log }).toEqual({ code: 0, log: '' });
    const file = await openSafetensors(join(outputDir, 'model', 'model.safetensors'));
    const tensors = new Map<string, Float32Array>();
    for (const name of file.tensors.keys()) tensors.set(name, await file.readFloat32(name));
    return { losses: (await eventsOfType(outputDir, 'step')).map(({ loss }) => loss), tensors };
  };
  const farthest = (a: Float32Array, b: Float32Array = new Float32Array()): number =>
    a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? NaN))), 0);

  beforeAll(async () => {
    root = await tempDir('cross-optimisers');
    await writeTinyModel(join(root, 'model'), QWEN2);
    await writeTinyData(join(root, 'train'), 21, 1);
  });
  afterAll(() => removeHome(root));

  const expectAlike = (ours: Trained, theirs: Trained, tolerance: number): void => {
    expect(ours.losses.length).toBe(10);
    ours.losses.forEach((loss, i) => expect(Math.abs(loss - (theirs.losses[i] ?? NaN))).toBeLessThan(LOSS_TOLERANCE));
    expect([...ours.tensors.keys()].sort()).toEqual([...theirs.tensors.keys()].sort());
    for (const [name, values] of ours.tensors)
      expect([name, farthest(values, theirs.tensors.get(name)) < tolerance]).toEqual([name, true]);
  };

  it.each(['adamw', 'adafactor'] as const)(
    '%s with decay: the same losses and tensors, for biases and norms are left out by both',
    async (optimizer) => {
      const settings = { optimizer, weightDecay: 0.1 };
      expectAlike(await run(node, settings), await run(torch, settings), TENSOR_TOLERANCE);
    },
  );

  it('adamw8bit: the same losses and tensors, for numbers have the same codes', async () => {
    const settings = { optimizer: 'adamw8bit', weightDecay: 0.1 } as const;
    const [ours, theirs] = [await run(node, settings), await run(torch, settings)];
    expectAlike(ours, theirs, CODES_TOLERANCE);
    expect(ours.losses).not.toEqual((await run(node, { weightDecay: 0.1 })).losses);
  });
});
