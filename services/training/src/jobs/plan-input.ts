import type { Method } from '@luthier/contracts';
import type { PlanInput } from '@luthier/planner';
import type { Run } from '../runs/run.js';
import type { Job, PreparedData } from './job.js';

const trainedShare = ({ trainedTokens, tokens }: PreparedData): number => trainedTokens / Math.max(1, tokens);

/** Of a method whose answers are generated while it trains. */
export const answersOf = (method: Method): Pick<PlanInput, 'answers'> =>
  method.type === 'grpo'
    ? {
        answers: {
          ...{ toEach: method.groupSize, tokensMax: method.maxCompletionTokens },
          ...{ stepsEach: method.numIterations ?? 1, nearStart: method.beta > 0 },
        },
      }
    : {};

/** What the planner is asked for a job; undefined before its datasets are prepared. */
export function planInputOf(job: Job): Omit<PlanInput, 'profile'> | undefined {
  const { base, train, heldOut } = job;
  if (!base?.shape || !train) return undefined;
  return {
    shape: base.shape,
    method: job.request.method.type,
    ...answersOf(job.request.method),
    tuning: job.tuning,
    hyperparameters: job.hyperparameters,
    rows: train.rows,
    longestRowTokens: Math.max(train.longestRowTokens, heldOut?.longestRowTokens ?? 0),
    longestPassTokens: Math.max(train.longestPassTokens, heldOut?.longestPassTokens ?? 0),
    trainedShare: Math.max(trainedShare(train), heldOut ? trainedShare(heldOut) : 0),
    tokensPerEpoch: train.tokens,
    cutoffLength: job.cutoffLength,
    memoryCapMib: job.memoryCapMib ?? null,
    precision: job.request.precision ?? null,
  };
}

/** The same for a run that was placed, with what it was given; null: there is none. */
export function plannedRun(job: Job, run: Run | undefined): PlanInput | null {
  const input = planInputOf(job);
  if (!input || !run) return null;
  const { nodes, devicesPerNode: devices, cpu: cpus } = run.resources;
  const device = job.plan?.device ?? run.profile;
  const memoryMib = devices > 0 ? (job.plan?.availableMib ?? run.resources.memoryMib) : run.resources.memoryMib;
  return {
    ...input,
    worldSize: nodes * Math.max(1, devices),
    ...(job.plan?.precision && { precision: job.plan.precision }),
    profile: { name: run.profile, runtime: run.runtime, device, cpus, devices, memoryMib, freeMemoryMib: memoryMib },
  };
}
