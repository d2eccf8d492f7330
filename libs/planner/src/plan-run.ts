import type { Hyperparameters, ModelShape, Plan, Tuning } from '@luthier/contracts';
import { estimateMemory, trainableParameters } from './memory.js';
import type { MemoryEstimate } from './memory.js';
import { estimateNodeMemory } from './node-memory.js';
import { guessTokensPerSecond } from './speed.js';

/** The part of an inventory's profile that a plan is made against. */
export interface PlanProfile {
  name: string;
  device: string;
  cpus: number;
  devices: number;
  /** What one run may take at most. */
  memoryMib: number;
  freeMemoryMib: number;
}

export interface PlanInput {
  shape: ModelShape;
  tuning: Tuning;
  hyperparameters: Hyperparameters;
  rows: number;
  longestRowTokens: number;
  /** All tokens of one pass over the rows. */
  tokensPerEpoch: number;
  cutoffLength: number;
  /** Trained tokens by all tokens; 1 where it is not known. */
  trainedShare?: number;
  /** Undefined: nobody knows yet what there is to run on. */
  profile: PlanProfile | undefined;
}

/** Optimiser steps of a run; the smaller batch at the end of each epoch counts as a step. */
export function totalSteps(rows: number, { epochs, globalBatch, maxSteps }: Hyperparameters): number {
  const perEpoch = Math.max(1, Math.ceil(rows / globalBatch));
  const steps = Math.max(1, Math.round(perEpoch * epochs));
  return maxSteps === null ? steps : Math.min(steps, maxSteps);
}

const rowTokensOf = (input: PlanInput): number => Math.max(1, Math.min(input.longestRowTokens, input.cutoffLength));

/** The TypeScript runtime fills micro-batches up to this many tokens; a longer row has one of its own. */
const NODE_TOKEN_BUDGET = 256;
/** Rows differ in how much of them is trained. */
const TRAINED_SPREAD = 1.5;

/** Adapters on CPUs are trained by the TypeScript runtime, whatever the batch, in micro-batches of bounded size. */
const accumulates = ({ tuning, profile }: PlanInput): boolean =>
  tuning.type === 'lora' && (profile?.devices ?? 0) === 0;

function memoryOf(input: PlanInput, limitMib: number): MemoryEstimate {
  if (accumulates(input)) return nodeMemoryOf(input, limitMib);
  const rowTokens = rowTokensOf(input);
  return estimateMemory({
    shape: input.shape,
    tuning: input.tuning,
    rowTokens,
    microBatchTokens: rowTokens * Math.min(input.hyperparameters.globalBatch, Math.max(1, input.rows)),
    limitMib,
  });
}

/** The same numbers and the same choice of mode as the runtime makes, so that it does not refuse what was planned. */
function nodeMemoryOf(input: PlanInput, limitMib: number): MemoryEstimate {
  const { shape, tuning } = input;
  const microBatchTokens = Math.max(NODE_TOKEN_BUDGET, rowTokensOf(input));
  const estimateIn = (memoryMode: MemoryEstimate['memoryMode']): MemoryEstimate => {
    const { components, totalMib } = estimateNodeMemory({
      ...shape,
      keyValueHeads: shape.kvHeads,
      adapterParameters: trainableParameters(shape, tuning),
      microBatchTokens,
      microBatchTrained: Math.ceil(microBatchTokens * Math.min(1, (input.trainedShare ?? 1) * TRAINED_SPREAD)),
      memoryMode,
    });
    return { components: Object.entries(components).map(([name, mib]) => ({ name, mib })), totalMib, memoryMode };
  };
  const whole = estimateIn('whole-step');
  return whole.totalMib <= limitMib ? whole : estimateIn('layer-recompute');
}

/** Memory, steps and time of a run, and what to change when it does not fit. Pure. */
export function planRun(input: PlanInput): Plan {
  const { profile } = input;
  const memory = memoryOf(input, profile?.memoryMib ?? Number.POSITIVE_INFINITY);
  const steps = totalSteps(input.rows, input.hyperparameters);
  const perRow = input.tokensPerEpoch / Math.max(1, input.rows);
  const tokens = Math.round(
    Math.min(steps * input.hyperparameters.globalBatch, input.rows * input.hyperparameters.epochs) * perRow,
  );
  const speed = profile && guessTokensPerSecond(input.shape.parameters, profile);
  const common = {
    device: profile?.device ?? 'unknown',
    memoryMode: memory.memoryMode,
    components: memory.components,
    totalMib: memory.totalMib,
    availableMib: profile?.memoryMib ?? 0,
    steps,
    tokens,
    estimatedSeconds: speed === undefined ? null : Math.round(tokens / speed),
    notes: [
      ...(speed === undefined
        ? []
        : [`The time is a guess (${Math.round(speed)} tokens/s) until the first steps are measured.`]),
      ...(memory.memoryMode === 'layer-recompute'
        ? ['Activations are computed twice, layer by layer, so that the run fits: slower, with less memory.']
        : []),
    ],
  };
  const { verdict, message } = judge(memory.totalMib, profile);
  return {
    verdict,
    message,
    ...common,
    alternatives: verdict === 'can-never-fit' && profile ? alternatives(input, profile.memoryMib) : [],
  };
}

function judge(totalMib: number, profile: PlanProfile | undefined): Pick<Plan, 'verdict' | 'message'> {
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
  if (totalMib > profile.freeMemoryMib) {
    return {
      verdict: 'waits',
      message: `The run needs about ${totalMib} MiB; ${Math.max(0, Math.floor(profile.freeMemoryMib))} MiB are free right now, so it waits.`,
    };
  }
  return { verdict: 'fits', message: `The run needs about ${totalMib} of ${profile.memoryMib} MiB.` };
}

interface Candidate {
  title: string;
  change: Record<string, string | number>;
  input: PlanInput;
}

/** Single changes first, the least painful of each kind; all of them together when no single one is enough. */
function alternatives(input: PlanInput, limitMib: number): Plan['alternatives'] {
  const kinds = [accumulates(input) ? [] : smallerBatches(input), shorterRows(input), smallerRanks(input)];
  const single = kinds.flatMap((candidates) => firstFitting(candidates, limitMib));
  if (single.length > 0) return single;
  const combined = kinds.reduce(
    (base, candidatesOf) => {
      const last = candidatesOf.at(-1);
      if (!last) return base;
      return {
        title: base.title === '' ? last.title : `${base.title}, ${last.title.toLowerCase()}`,
        change: { ...base.change, ...last.change },
        input: {
          ...base.input,
          ...(last.input.cutoffLength !== input.cutoffLength && { cutoffLength: last.input.cutoffLength }),
          ...(last.input.tuning !== input.tuning && { tuning: last.input.tuning }),
          ...(last.input.hyperparameters !== input.hyperparameters && { hyperparameters: last.input.hyperparameters }),
        },
      };
    },
    { title: '', change: {}, input },
  );
  return firstFitting(combined.title === '' ? [] : [combined], limitMib);
}

function firstFitting(candidates: readonly Candidate[], limitMib: number): Plan['alternatives'] {
  for (const { title, change, input } of candidates) {
    const { totalMib } = memoryOf(input, limitMib);
    if (totalMib <= limitMib) return [{ title, change, totalMib }];
  }
  return [];
}

const halvings = (from: number, smallest: number): number[] => {
  const values: number[] = [];
  for (let value = Math.floor(from / 2); value >= smallest; value = Math.floor(value / 2)) values.push(value);
  return values;
};

const smallerBatches = (input: PlanInput): Candidate[] =>
  halvings(input.hyperparameters.globalBatch, 1).map((batch) => ({
    title: `Batch of ${batch}`,
    change: { 'hyperparameters.batch_size': batch },
    input: { ...input, hyperparameters: { ...input.hyperparameters, globalBatch: batch } },
  }));

const shorterRows = (input: PlanInput): Candidate[] =>
  halvings(rowTokensOf(input), 64).map((cutoff) => ({
    title: `Rows cut at ${cutoff} tokens`,
    change: { cutoff_length: cutoff },
    input: { ...input, cutoffLength: cutoff },
  }));

const smallerRanks = (input: PlanInput): Candidate[] => {
  const { tuning } = input;
  if (tuning.type === 'full' || tuning.type === 'freeze') {
    const lora = {
      type: 'lora',
      r: 16,
      loraAlpha: 32,
      loraDropout: 0,
      targetModules: 'all-linear',
      useRslora: false,
    } as const;
    return [
      { title: 'LoRA in place of all weights', change: { 'tuning.type': 'lora' }, input: { ...input, tuning: lora } },
    ];
  }
  return halvings(tuning.r, 4).map((r) => ({
    title: `Rank ${r}`,
    change: { 'tuning.r': r },
    input: { ...input, tuning: { ...tuning, r } },
  }));
};
