import { ERRORS, RETRIED_CODES } from '@luthier/contracts';
import type { ErrorCode, RunStatus } from '@luthier/contracts';
import type { Run } from './run.js';

/** How an attempt ended, whatever the source: outcome first, the trainer's reason when there is none. */
export interface AttemptEnd {
  /** Undefined: success. */
  code: ErrorCode | undefined;
  message: string;
  hint?: string;
  step: number | undefined;
  endedAt: string;
  /** Did not end by itself: the trainer was restarted or something more urgent came. Not charged. */
  interrupted: boolean;
}

export function endOf(status: RunStatus, now: string): AttemptEnd {
  const endedAt = status.endedAt ?? now;
  const { outcome } = status;
  if (status.reason === 'deadline-exceeded') {
    return { code: 'run.deadline-exceeded', message: status.message, step: outcome?.step, endedAt, interrupted: false };
  }
  if (outcome) {
    return {
      code: outcome.code ?? (status.reason === 'succeeded' || outcome.result ? undefined : 'runtime.interrupted'),
      message: outcome.message,
      ...(outcome.hint !== undefined && { hint: outcome.hint }),
      step: outcome.step,
      endedAt,
      interrupted: outcome.code === 'runtime.interrupted',
    };
  }
  const code: ErrorCode = status.reason === 'failed' ? 'runtime.crashed' : 'runtime.interrupted';
  return { code, message: status.message || ERRORS[code].title, step: undefined, endedAt, interrupted: false };
}

const MAX_RETRIES = 3;
const MAX_CRASHES = 1;
/** Interruptions are not charged, but a run that never comes further must end some day. */
const MAX_INTERRUPTIONS = 30;

export type RetryDecision = { retry: true; counters: Partial<Run> } | { retry: false; why: string };

/**
 * Infrastructure faults go on from the newest checkpoint, at most three in a row without a new one; a crash once; what
 * the user has to change, never. Pure.
 */
export function decideRetry(
  run: Run,
  end: AttemptEnd & { code: ErrorCode },
  newestStep: number | null,
  reason: RunStatus['reason'],
): RetryDecision {
  const step = newestStep ?? -1;
  const progressed = step > run.stepAtRetry;
  const retries = progressed ? 0 : run.retries;
  const interruptions = progressed ? 0 : run.interruptions;
  if (reason === 'queue-deactivated') return { retry: false, why: 'The queue was deactivated.' };
  if (end.code === 'runtime.crashed') {
    return run.crashes < MAX_CRASHES
      ? { retry: true, counters: { crashes: run.crashes + 1, stepAtRetry: step, retries, interruptions } }
      : { retry: false, why: 'It was tried once more already.' };
  }
  if (!RETRIED_CODES.includes(end.code)) return { retry: false, why: '' };
  if (end.interrupted) {
    return interruptions < MAX_INTERRUPTIONS
      ? { retry: true, counters: { interruptions: interruptions + 1, retries, stepAtRetry: step } }
      : { retry: false, why: `It was interrupted ${MAX_INTERRUPTIONS} times without a new checkpoint.` };
  }
  return retries < MAX_RETRIES
    ? { retry: true, counters: { retries: retries + 1, interruptions, stepAtRetry: step } }
    : { retry: false, why: `It was tried again ${MAX_RETRIES} times without a new checkpoint.` };
}
