import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { score } from '@luthier/contracts';
import type { RuntimeSpec } from '@luthier/contracts';
import { fsyncFolder, openPeftAdapter, openSafetensors, writePeftAdapter, writeSafetensors } from '@luthier/formats';
import type { LoraConfig } from '@luthier/formats';
import type { AdamW, LoraAdapter } from '@luthier/lm';
import { z } from 'zod';

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
});
export type TrainerState = z.output<typeof trainerState>;

/** The adapter's settings as PEFT stores them. */
function peftConfig(adapter: LoraAdapter): LoraConfig {
  const { r, loraAlpha, loraDropout, useRslora } = adapter.settings;
  const targetModules = adapter.modules.map(
    (module) => module.slice(module.indexOf('.') + 1) as LoraConfig['targetModules'][number],
  );
  return { rank: r, alpha: loraAlpha, dropout: loraDropout, useRslora, targetModules, baseModelNameOrPath: null };
}

export async function writeAdapter(dir: string, adapter: LoraAdapter): Promise<void> {
  const tensors = adapter.tensors.map((tensor) => ({
    name: tensor.name,
    dtype: 'F32' as const,
    shape: tensor.shape,
    data: adapter.view(adapter.values, tensor),
  }));
  await writePeftAdapter(dir, peftConfig(adapter), tensors, { fsync: true });
}

/** Puts a folder in place as a whole: written beside it, flushed, renamed. An older one is replaced. */
export async function writeFolder(
  dir: string,
  parent: string,
  write: (temporary: string) => Promise<void>,
): Promise<void> {
  const temporary = `${dir}.tmp`;
  try {
    await rm(temporary, { recursive: true, force: true });
    await mkdir(temporary, { recursive: true });
    await write(temporary);
    await fsyncFolder(temporary);
    await rm(dir, { recursive: true, force: true });
    await rename(temporary, dir);
    await fsyncFolder(parent);
  } catch (thrown) {
    await rm(temporary, { recursive: true, force: true });
    throw thrown;
  }
}

/** Writes `checkpoints/step-<step>` and removes this run's oldest beyond what is kept. Returns the relative folder. */
export async function writeCheckpoint(
  spec: RuntimeSpec,
  adapter: LoraAdapter,
  optimiser: AdamW,
  state: TrainerState,
): Promise<string> {
  const parent = join(spec.outputDir, CHECKPOINTS_DIR);
  await mkdir(parent, { recursive: true });
  const name = `step-${String(state.step).padStart(6, '0')}`;
  await writeFolder(join(parent, name), parent, async (temporary) => {
    await writeAdapter(temporary, adapter);
    const shape = [adapter.values.length];
    await writeSafetensors(
      join(temporary, OPTIMISER_FILE),
      [
        { name: 'first_moments', dtype: 'F32', shape, data: optimiser.firstMoments },
        { name: 'second_moments', dtype: 'F32', shape, data: optimiser.secondMoments },
      ],
      { step: String(optimiser.step) },
      { fsync: true },
    );
    await writeFile(join(temporary, STATE_FILE), `${JSON.stringify(state, null, 2)}\n`, { flush: true });
  });
  const names = (await readdir(parent)).filter((entry) => /^step-\d+$/.test(entry)).sort();
  for (const old of names.slice(0, -Math.max(KEPT_MIN, spec.checkpointing.keepLast))) {
    await rm(join(parent, old), { recursive: true, force: true });
  }
  return join(CHECKPOINTS_DIR, name);
}

export interface StoredTensors {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Tensors of a PEFT folder with its settings. */
export async function readAdapter(dir: string): Promise<{ config: LoraConfig; tensors: Map<string, StoredTensors> }> {
  const { config, weights } = await openPeftAdapter(dir);
  const tensors = new Map<string, StoredTensors>();
  for (const { name, shape } of weights.tensors.values())
    tensors.set(name, { shape, data: await weights.readFloat32(name) });
  return { config, tensors };
}

export interface StoredCheckpoint {
  readonly state: TrainerState;
  readonly tensors: ReadonlyMap<string, StoredTensors>;
  readonly optimiserStep: number;
  readonly firstMoments: Float32Array;
  readonly secondMoments: Float32Array;
}

export async function readCheckpoint(dir: string): Promise<StoredCheckpoint> {
  const state = trainerState.parse(JSON.parse(await readFile(join(dir, STATE_FILE), 'utf8')));
  const { tensors } = await readAdapter(dir);
  const file = await openSafetensors(join(dir, OPTIMISER_FILE));
  return {
    state,
    tensors,
    optimiserStep: Number(file.metadata['step']),
    firstMoments: await file.readFloat32('first_moments'),
    secondMoments: await file.readFloat32('second_moments'),
  };
}
