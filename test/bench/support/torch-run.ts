import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RuntimeSpec } from '@luthier/contracts';
import { trainResult } from '@luthier/contracts';
import { eventsOfType } from '../../runtime-conformance/runtime-process.js';
import { runMeasured } from './measured-program.js';
import type { Taken } from './measured-program.js';

const RUNTIME = join(import.meta.dirname, '../../../services/runtime-torch/main.py');

export interface TrainingRun extends Taken {
  /** Of training alone, without starting and loading. */
  readonly trainingSeconds: number;
  readonly losses: readonly number[];
  readonly adapterDir: string;
}

/** One command of the runtime in the environment of `python`, measured as the peer is. */
export async function runRuntime(python: string, spec: RuntimeSpec): Promise<Taken> {
  await mkdir(spec.outputDir, { recursive: true });
  const file = `${spec.outputDir}.spec.json`;
  await writeFile(file, JSON.stringify(spec));
  return runMeasured(python, spec.outputDir, [python, RUNTIME, spec.mode, file], {
    timeoutMs: spec.limits.deadlineSeconds * 1_000,
  });
}

export async function trainWithRuntime(python: string, asked: RuntimeSpec, outputDir: string): Promise<TrainingRun> {
  const taken = await runRuntime(python, { ...asked, outputDir });
  const steps = await eventsOfType(outputDir, 'step');
  const { artifactDir } = trainResult.parse((await eventsOfType(outputDir, 'result'))[0]?.result);
  return {
    ...taken,
    trainingSeconds: steps.reduce((sum, { stepMs }) => sum + stepMs, 0) / 1_000,
    losses: steps.map(({ loss }) => loss),
    adapterDir: join(outputDir, artifactDir),
  };
}
