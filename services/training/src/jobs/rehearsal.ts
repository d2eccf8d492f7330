import type { Plan, RunResult } from '@luthier/contracts';
import { planNote } from '@luthier/planner';
import type { Profile } from '../queue/admission.js';
import type { Share } from '../queue/share.js';
import type { Job, Rehearsal } from './job.js';

/** A rehearsal loads the model twice and makes four steps: minutes, which is little beside a run of this long. */
const LONG_RUN_SECONDS = 3_600;

/** Whether a job that is about to run is rehearsed first. One that was, is not again. Pure. */
export function isToBeRehearsed(job: Job, plan: Plan, profile: Profile, share: Share): boolean {
  if (job.rehearsal?.state === 'done' || !canRehearse(profile) || share.nodes > 1) return false;
  return job.request.rehearsal ?? (plan.estimatedSeconds ?? 0) >= LONG_RUN_SECONDS;
}

const canRehearse = ({ capabilities }: Profile): boolean => capabilities.modes.includes('rehearse');

/** What a rehearsal that has succeeded says about the run. */
export function measuredBy(result: Extract<RunResult, { mode: 'rehearse' }>): NonNullable<Rehearsal['measured']> {
  const secondsPerStep = result.stepMs / 1_000;
  return {
    memoryMib: result.deviceMib ?? result.peakMemoryMib,
    secondsPerStep,
    tokensPerSecond: result.tokensPerStep / secondsPerStep,
    checkpointMib: result.checkpointMib,
  };
}

/** A plan with what was measured in place of what was estimated. Pure. */
export function withMeasured(plan: Plan, measured: NonNullable<Plan['measured']> | null | undefined): Plan {
  if (!measured) return plan;
  const speed = planNote('measured-in-rehearsal', { tokensPerSecond: Math.round(measured.tokensPerSecond) });
  return {
    ...plan,
    measured,
    totalMib: Math.ceil(measured.memoryMib),
    estimatedSeconds: Math.round(plan.tokens / measured.tokensPerSecond),
    notes: [speed, ...plan.notes.filter(({ id }) => id !== 'time-guessed')],
  };
}
