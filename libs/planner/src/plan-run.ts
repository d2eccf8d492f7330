import type { Hyperparameters, Plan } from '@luthier/contracts';
import { planNote } from './notes.js';
import type { PlanInput, PlanProfile } from './plan-input.js';
import { memoryOf, precisionOf } from './run-memory.js';
import { alternatives } from './smaller-runs.js';
import { guessTokensPerSecond, measuringTokens } from './speed.js';

/** Optimiser steps of a run; the smaller batch at the end of each epoch counts as a step, or as several. */
export function totalSteps(
  rows: number,
  { epochs, globalBatch, maxSteps }: Hyperparameters,
  stepsPerBatch = 1,
): number {
  const perEpoch = Math.max(1, Math.ceil(rows / globalBatch));
  const steps = Math.max(1, Math.round(perEpoch * epochs)) * stepsPerBatch;
  return maxSteps === null ? steps : Math.min(steps, maxSteps);
}

/** Tokens that go through the model for a row; a prompt comes again with each of its answers, at their longest. */
function trainedOfRow({ tokensPerEpoch, rows, answers }: PlanInput): number {
  const stored = tokensPerEpoch / Math.max(1, rows);
  return answers ? answers.toEach * (stored + answers.tokensMax) : stored;
}

/** Memory, steps and time of a run, and what to change when it does not fit. Pure. */
export function planRun(input: PlanInput): Plan {
  const { profile } = input;
  const given = profile?.memoryMib ?? Number.POSITIVE_INFINITY;
  const memory = memoryOf(input, Math.min(given, input.memoryCapMib ?? given));
  const stepsPerBatch = input.answers?.stepsEach ?? 1;
  const steps = totalSteps(input.rows, input.hyperparameters, stepsPerBatch);
  const perRow = trainedOfRow(input);
  const tokens = Math.round(
    Math.min(steps * input.hyperparameters.globalBatch, input.rows * input.hyperparameters.epochs * stepsPerBatch) *
      perRow,
  );
  const processes = input.worldSize ?? 1;
  const devices = (profile?.devices ?? 0) > 0 ? processes : 0;
  const cpus = (profile?.cpus ?? 1) * (devices > 0 ? 1 : processes);
  const speed = profile && guessTokensPerSecond({ ...input, memoryMode: memory.memoryMode }, { devices, cpus });
  const { precision, why: whyPrecision } = precisionOf(input);
  const common = {
    device: profile?.device ?? 'unknown',
    memoryMode: memory.memoryMode,
    precision,
    components: memory.components,
    totalMib: memory.totalMib,
    ...(memory.leastMib !== undefined && { leastMib: memory.leastMib }),
    availableMib: profile?.memoryMib ?? 0,
    steps,
    tokens,
    estimatedSeconds: speed === undefined ? null : Math.round((tokens + measuringTokens(input, tokens)) / speed),
    notes: [
      ...(speed === undefined ? [] : [planNote('time-guessed', { tokensPerSecond: Math.round(speed) })]),
      ...(memory.memoryMode === 'layer-recompute' ? [planNote('layers-recomputed', {})] : []),
      ...(memory.rowsShared ? [planNote('rows-shared', { processes })] : []),
      ...(memory.offloaded ? [planNote('model-offloaded', {})] : []),
      ...(memory.sharded && processes > 1 ? [planNote('model-dealt-out', { processes })] : []),
      ...(profile ? [whyPrecision] : []),
    ],
  };
  const judged = judge(memory.totalMib, profile);
  return {
    ...judged,
    ...common,
    alternatives: judged.verdict === 'can-never-fit' && profile ? alternatives(input, profile.memoryMib) : [],
  };
}

function judge(totalMib: number, profile: PlanProfile | undefined): Pick<Plan, 'verdict' | 'message' | 'obstacle'> {
  if (!profile) {
    return {
      verdict: 'unknown',
      message: `The run needs about ${totalMib} MiB; it is not known yet what there is to run on.`,
    };
  }
  if (totalMib > profile.memoryMib) {
    return {
      verdict: 'can-never-fit',
      message: `The run needs about ${totalMib} MiB, but a run on "${profile.name}" may take at most ${profile.memoryMib} MiB.`,
    };
  }
  if (totalMib > profile.freeMemoryMib && profile.why !== undefined) {
    const { why, obstacle } = profile;
    return { verdict: 'waits', message: `The run needs about ${totalMib} MiB. ${why}`, obstacle };
  }
  if (totalMib > profile.freeMemoryMib) {
    return {
      verdict: 'waits',
      message: `The run needs about ${totalMib} MiB; ${Math.max(0, Math.floor(profile.freeMemoryMib))} MiB are free right now, so it waits.`,
    };
  }
  return { verdict: 'fits', message: `The run needs about ${totalMib} of ${profile.memoryMib} MiB.` };
}
