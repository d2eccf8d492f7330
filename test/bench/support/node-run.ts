import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RuntimeSpec } from '@luthier/contracts';
import { epochOrder } from '@luthier/contracts';
import { openPreparedDataset, readModelConfig } from '@luthier/formats';
import { LoraAdapter, learningRateAt } from '@luthier/lm';
import { writeAdapter } from '../../../services/runtime-node/src/training/tuned.js';
import { eventsOfType } from '../../runtime-conformance/runtime-process.js';
import { runMeasured } from './measured-program.js';
import type { Taken } from './measured-program.js';

const RUNTIME = join(import.meta.dirname, '../../../services/runtime-node/dist/main.js');
const EAGER = join(import.meta.dirname, '../peers/eager_peft.py');

/** One training, without starting and loading. */
export interface NodeTraining extends Taken {
  readonly trainingSeconds: number;
  readonly losses: readonly number[];
}

/** Training by the TypeScript runtime. `python` runs the program that measures. */
export async function trainWithNode(python: string, spec: RuntimeSpec): Promise<NodeTraining> {
  await mkdir(spec.outputDir, { recursive: true });
  const file = `${spec.outputDir}.spec.json`;
  await writeFile(file, JSON.stringify(spec));
  const command = [process.execPath, RUNTIME, 'train', file];
  const taken = await runMeasured(python, spec.outputDir, command, { timeoutMs: spec.limits.deadlineSeconds * 1_000 });
  const steps = await eventsOfType(spec.outputDir, 'step');
  return {
    ...taken,
    trainingSeconds: steps.reduce((sum, { stepMs }) => sum + stepMs, 0) / 1_000,
    losses: steps.map(({ loss }) => loss),
  };
}

/** The same batches, learning rates and first adapter for PyTorch and PEFT, padded. */
export async function trainEagerly(python: string, spec: RuntimeSpec): Promise<NodeTraining> {
  const dir = spec.outputDir;
  await mkdir(dir, { recursive: true });
  await writeWork(dir, spec);
  const out = join(dir, 'out.json');
  const command = [python, EAGER, dir, out, String(spec.limits.cpu)];
  const taken = await runMeasured(python, dir, command, {
    timeoutMs: spec.limits.deadlineSeconds * 1_000,
    env: { HF_HUB_OFFLINE: '1' },
  });
  return { ...taken, ...(JSON.parse(await readFile(out, 'utf8')) as Omit<NodeTraining, keyof Taken>) };
}

async function writeWork(dir: string, spec: RuntimeSpec): Promise<void> {
  const { hyperparameters: asked, tuning, seed, modelDir, data } = spec;
  if (tuning.type !== 'lora' || data.trainDir === undefined) throw new Error('compares LoRA on data to train');
  await writeAdapter(join(dir, 'adapter'), LoraAdapter.create(await readModelConfig(modelDir), tuning, seed));
  const dataset = await openPreparedDataset(data.trainDir);
  const order = epochOrder(dataset.rows, seed, 0);
  const totalSteps = Math.ceil(order.length / asked.globalBatch);
  const steps = [];
  for (let step = 0; step < totalSteps; step += 1) {
    const numbers = order.subarray(step * asked.globalBatch, (step + 1) * asked.globalBatch);
    const rows = await Promise.all(Array.from(numbers, (row) => dataset.row(row)));
    steps.push({
      learningRate: learningRateAt(step, { ...asked, totalSteps }),
      rows: rows.map(({ tokens, trained }) => ({ tokens: [...tokens], trained: [...trained] })),
    });
  }
  await dataset.close();
  const { adamBeta1, adamBeta2, adamEpsilon: epsilon, weightDecay, maxGradNorm } = asked;
  const work = { modelDir, betas: [adamBeta1, adamBeta2], epsilon, weightDecay, maxGradNorm, steps };
  await writeFile(join(dir, 'work.json'), JSON.stringify(work));
}
