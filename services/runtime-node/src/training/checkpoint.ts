import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { score } from '@luthier/contracts';
import type { RuntimeSpec } from '@luthier/contracts';
import { openSafetensors, writeSafetensors } from '@luthier/formats';
import type { Optimiser } from '@luthier/lm';
import { z } from 'zod';
import { earlyStoppingState } from './early-stopping.js';
import type { EarlyStopping } from './early-stopping.js';
import { writeFolder } from '../control/folders.js';
import type { Objective } from '../objectives/objective.js';
import type { Tuned } from './tuned.js';

const OPTIMISER_FILE = 'optimizer.safetensors';
const STATE_FILE = 'trainer_state.json';
const CHECKPOINTS_DIR = 'checkpoints';
const KEPT_MIN = 2;

/** What besides tensors a run needs to go on exactly. The data position follows from `step`. */
const trainerState = z.object({
  version: z.literal(1),
  /** Finished optimiser steps. */
  step: z.int().nonnegative(),
  seed: z.int(),
  tokens: z.int().nonnegative(),
  trainedTokens: z.int().nonnegative(),
  trainingMs: z.number().nonnegative(),
  firstLoss: z.number().nullable(),
  lastLoss: z.number().nullable(),
  base: score.optional(),
  earlyStopping: earlyStoppingState.optional(),
});
export type TrainerState = z.output<typeof trainerState>;

export const freshState = (seed: number): TrainerState => ({
  version: 1,
  step: 0,
  seed,
  tokens: 0,
  trainedTokens: 0,
  trainingMs: 0,
  firstLoss: null,
  lastLoss: null,
});

/** All of a run that a checkpoint keeps. */
export interface RunParts {
  readonly spec: RuntimeSpec;
  readonly tuned: Tuned;
  readonly optimiser: Optimiser;
  readonly objective: Objective;
  readonly stopping: EarlyStopping | undefined;
}

/** Writes `checkpoints/step-<step>` and removes this run's oldest beyond what is kept. Returns the relative folder. */
export async function writeCheckpoint(
  { spec, tuned, optimiser, objective, stopping }: RunParts,
  state: TrainerState,
): Promise<string> {
  const parent = join(spec.outputDir, CHECKPOINTS_DIR);
  await mkdir(parent, { recursive: true });
  const folder = `step-${String(state.step).padStart(6, '0')}`;
  await writeFolder(join(parent, folder), parent, async (temporary) => {
    await tuned.write(temporary);
    await objective.save(temporary);
    await stopping?.save(temporary);
    const tensors = [...optimiser.state].map(([name, data]) => ({
      name,
      dtype: data instanceof Uint8Array ? ('U8' as const) : ('F32' as const),
      shape: [data.length],
      data,
    }));
    const metadata = { step: String(optimiser.step) };
    await writeSafetensors(join(temporary, OPTIMISER_FILE), tensors, metadata, { fsync: true });
    const kept = { ...state, ...(stopping && { earlyStopping: stopping.state }) };
    await writeFile(join(temporary, STATE_FILE), `${JSON.stringify(kept, null, 2)}\n`, { flush: true });
  });
  const names = (await readdir(parent)).filter((entry) => /^step-\d+$/.test(entry)).sort();
  for (const old of names.slice(0, -Math.max(KEPT_MIN, spec.checkpointing.keepLast))) {
    await rm(join(parent, old), { recursive: true, force: true });
  }
  return join(CHECKPOINTS_DIR, folder);
}

export async function readState(dir: string): Promise<TrainerState> {
  return trainerState.parse(JSON.parse(await readFile(join(dir, STATE_FILE), 'utf8')));
}

/** Puts what the checkpoint kept into the optimiser. Throws RangeError when it is another optimiser's. */
export async function restoreOptimiser(dir: string, optimiser: Optimiser): Promise<void> {
  const file = await openSafetensors(join(dir, OPTIMISER_FILE));
  for (const [name, values] of optimiser.state) {
    const stored = values instanceof Uint8Array ? await file.read(name) : await file.readFloat32(name);
    if (stored.length !== values.length)
      throw new RangeError(`${OPTIMISER_FILE}: "${name}" has ${stored.length} numbers, not ${values.length}.`);
    values.set(stored);
  }
  optimiser.step = Number(file.metadata['step']);
}
