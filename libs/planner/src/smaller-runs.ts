import type { Plan } from '@luthier/contracts';
import { rowTokensOf } from './plan-input.js';
import type { PlanInput } from './plan-input.js';
import { memoryOf } from './run-memory.js';

interface Candidate {
  title: string;
  /** In the job's own fields. */
  change: Record<string, string | number>;
  input: PlanInput;
}

/** Single changes first, the least painful of each kind; all of them together when no single one is enough. */
export function alternatives(input: PlanInput, limitMib: number): Plan['alternatives'] {
  return smallerRuns(input, { limitMib, targetMib: limitMib }).map(asAlternative);
}

interface Goal {
  /** Within this the run chooses its way of spending memory. */
  limitMib: number;
  /** Small enough. */
  targetMib: number;
}

interface SmallerRun extends Candidate {
  totalMib: number;
}

const asAlternative = ({ title, change, totalMib }: SmallerRun): Plan['alternatives'][number] => ({
  title,
  change,
  totalMib,
});

/** Each kind's least change that is enough, in the order batch, row length, rank, bits, devices. */
function smallerRuns(input: PlanInput, goal: Goal): SmallerRun[] {
  const { totalMib } = memoryOf(input, goal.limitMib);
  // What does not lower the estimate is never proposed: the batch where a runtime accumulates, rows that are short.
  const kinds = [
    smallerBatches(input),
    shorterRows(input),
    smallerRanks(input),
    fewerBits(input),
    moreDevices(input),
  ].filter((candidates) => {
    const most = candidates.at(-1);
    return most !== undefined && memoryOf(most.input, goal.limitMib).totalMib < totalMib;
  });
  const single = kinds.flatMap((candidates) => firstEnough(candidates, goal));
  if (single.length > 0 || kinds.length < 2) return single;
  return firstEnough([together(input, kinds)], goal);
}

/** The greatest change of every kind. */
function together(input: PlanInput, kinds: readonly (readonly Candidate[])[]): Candidate {
  return kinds.reduce<Candidate>(
    (base, candidates) => {
      const last = candidates.at(-1);
      if (!last) return base;
      return {
        title: base.title === '' ? last.title : `${base.title}, ${last.title.toLowerCase()}`,
        change: { ...base.change, ...last.change },
        input: {
          ...base.input,
          ...(last.input.cutoffLength !== input.cutoffLength && { cutoffLength: last.input.cutoffLength }),
          ...(last.input.tuning !== input.tuning && { tuning: last.input.tuning }),
          ...(last.input.hyperparameters !== input.hyperparameters && { hyperparameters: last.input.hyperparameters }),
          ...(last.input.worldSize !== input.worldSize && { worldSize: last.input.worldSize ?? 1 }),
        },
      };
    },
    { title: '', change: {}, input },
  );
}

function firstEnough(candidates: readonly Candidate[], { limitMib, targetMib }: Goal): SmallerRun[] {
  for (const candidate of candidates) {
    const { totalMib } = memoryOf(candidate.input, limitMib);
    if (totalMib <= targetMib) return [{ ...candidate, totalMib }];
  }
  return [];
}

/** Estimates are within a quarter of what was measured: a run that was larger than its estimate is tried a quarter smaller. */
const NEXT_SHARE = 0.75;

/** A change that needs nobody's consent but `autoFix`. */
export interface AutomaticChange extends Pick<PlanInput, 'tuning' | 'hyperparameters' | 'cutoffLength'> {
  /** Begins a sentence: `Rows cut at 512 tokens`. */
  title: string;
  change: Record<string, string | number>;
  totalMib: number;
  memoryCapMib: number;
}

/** What a run that ran out of memory can be changed into. */
export interface LessMemory {
  /** What the run was estimated at, in MiB. */
  wasMib: number;
  /** What a new job can be asked for, the least painful first. */
  advice: Plan['alternatives'];
  /** Undefined: nothing that can be changed is enough. */
  automatic: AutomaticChange | undefined;
}

/**
 * Which changes lower the estimate enough after a run was larger than its estimate; `measuredMib`: how large it was, where
 * that is known. Pure.
 */
export function lessMemory(input: PlanInput, measuredMib?: number): LessMemory {
  const givenMib = input.profile?.memoryMib ?? Number.POSITIVE_INFINITY;
  const wasMib = memoryOf(input, Math.min(givenMib, input.memoryCapMib ?? givenMib)).totalMib;
  const targetMib =
    measuredMib === undefined || measuredMib <= givenMib
      ? Math.floor(Math.min(wasMib, givenMib) * NEXT_SHARE)
      : Math.floor((wasMib * givenMib) / measuredMib);
  const capped = { limitMib: targetMib, targetMib };
  const recomputing = firstEnough([{ title: 'Activations computed layer by layer', change: {}, input }], capped);
  const [automatic] = [...recomputing, ...smallerRuns(input, capped)].filter(
    ({ change }) => !('tuning.type' in change) && !('resources.nodes' in change),
  );
  return {
    wasMib,
    // A new job chooses its way of spending memory within all that the profile gives.
    advice: smallerRuns(input, { limitMib: givenMib, targetMib }).map(asAlternative),
    automatic: automatic && automaticChange(automatic, targetMib),
  };
}

function automaticChange({ title, change, totalMib, input }: SmallerRun, memoryCapMib: number): AutomaticChange {
  const { tuning, hyperparameters, cutoffLength } = input;
  return { title, change, totalMib, memoryCapMib, tuning, hyperparameters, cutoffLength };
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

/** Processes of the PyTorch runtime deal out what one of them cannot hold. */
const moreDevices = (input: PlanInput): Candidate[] => {
  const { profile, worldSize = 1 } = input;
  if (profile?.runtime !== 'runtime-torch' || profile.devices === 0) return [];
  const onNode = profile.maxDevicesPerNode ?? profile.devices;
  const shapes = [
    ...doublings(onNode).map((devices) => ({ nodes: 1, devices })),
    ...doublings(profile.nodes ?? 1).map((nodes) => ({ nodes, devices: onNode })),
  ];
  return shapes
    .filter(({ nodes, devices }) => nodes * devices > worldSize)
    .map(({ nodes, devices }) => ({
      title: `${nodes === 1 ? '' : `${nodes} nodes x `}${devices} GPU${devices === 1 ? '' : 's'}`,
      change: { 'resources.nodes': nodes, 'resources.devices_per_node': devices },
      input: { ...input, worldSize: nodes * devices },
    }));
};

/** A frozen model of fewer bits, which the PyTorch runtime has. */
/** What a runtime can keep a frozen model in. */
function bitsOf(runtime: string | undefined): (8 | 4)[] {
  if (runtime === 'runtime-torch') return [8, 4];
  return runtime === 'runtime-node' ? [8] : [];
}

const fewerBits = (input: PlanInput): Candidate[] => {
  const { tuning, profile } = input;
  if (tuning.type !== 'lora') return [];
  return bitsOf(profile?.runtime).map((bits) => ({
    title: `QLoRA of ${bits} bits`,
    change: { 'tuning.type': 'qlora', 'tuning.bits': bits },
    input: { ...input, tuning: { ...tuning, type: 'qlora', bits } },
  }));
};

/** 2, 4, 8, ... and the most itself. */
const doublings = (most: number): number[] => {
  const values: number[] = [];
  for (let value = 2; value < most; value *= 2) values.push(value);
  return most > 1 ? [...values, most] : [];
};

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
