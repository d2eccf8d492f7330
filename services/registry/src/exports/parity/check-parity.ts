import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@luthier/contracts';
import type { ExportParity } from '@luthier/contracts';
import { startChild } from '@luthier/service-kit/worker';
import { drift } from './compare-logits.js';
import type { Rounding } from './compare-logits.js';
import type { ParityInput, ParityLimits, ParityResult } from './parity-input.js';

const MIB = 1024 ** 2;
/** Programs, logits that are kept, and what is computed on the way. */
const BESIDE_WEIGHTS_MIB = 768;
/** Weights in 16 bits are computed with in single precision. */
const WIDENED = 2;

async function weightsMib(path: string): Promise<number> {
  const found = await stat(path);
  if (!found.isDirectory()) return found.size / MIB;
  const names = (await readdir(path)).filter((name) => name.endsWith('.safetensors'));
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(path, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0) / MIB;
}

/** What source and export take together, counted from their files. */
async function neededMib({ sourceDir, exported }: ParityInput): Promise<number> {
  const exportWidened = exported.kind === 'gguf' ? 1 : WIDENED;
  return Math.ceil(
    (await weightsMib(sourceDir)) * WIDENED + (await weightsMib(exported.path)) * exportWidened + BESIDE_WEIGHTS_MIB,
  );
}

const notChecked = (reason: string): ExportParity => ({ status: 'not-checked', reason });

/**
 * Gives the same prompts to an export and to what it was made from, in a process of its own.
 * `not-checked` with the reason where that takes more memory or time than it may, or cannot be done here.
 * @throws AppError `model.export-drifted` with the figures; `model.unreadable` when the export cannot be read.
 */
export async function checkParity(
  input: ParityInput,
  eightBits: boolean,
  limits: ParityLimits & { readonly signal?: AbortSignal },
): Promise<ExportParity> {
  const needed = await neededMib(input);
  const { memoryMib, timeoutMs, signal } = limits;
  if (needed > memoryMib)
    return notChecked(`Comparing takes about ${needed} MiB of memory; ${memoryMib} MiB are allowed.`);
  const entry = new URL('./check-parity.child.js', import.meta.url);
  try {
    const aborting = signal ? { signal } : {};
    const result = await startChild<ParityResult>({ entry, data: input, memoryMib, timeoutMs, ...aborting });
    return judge(result, { eightBits, merged: input.adapterDir !== null });
  } catch (thrown) {
    signal?.throwIfAborted();
    const error = AppError.from(thrown);
    if (error.code === 'model.export-drifted' || error.code === 'model.unreadable') throw error;
    return notChecked(`Comparing was begun, but not finished: ${error.message}.`);
  }
}

function judge({ figures, splitOtherwise }: ParityResult, rounding: Rounding): ExportParity {
  const split = splitOtherwise && `it splits ${JSON.stringify(splitOtherwise)} into other tokens`;
  const why = split ?? drift(rounding, figures);
  if (why !== null) throw new AppError('model.export-drifted', `The export is not published: ${why}`);
  const { positions, otherTokens, meanKl, maxKl } = figures;
  return { status: 'same', positions, otherTokens, meanKl, maxKl };
}
