import { CODE_OF_REASON, ERRORS, RETRIED_CODES } from '@luthier/contracts';
import type { ErrorCode, RunOutcome, RunStatus } from '@luthier/contracts';
import type { Run } from './run.js';

/** How an attempt ended, whatever the source: outcome first, the trainer's reason when there is none. */
export interface AttemptEnd {
  /** Undefined: success. */
  code: ErrorCode | undefined;
  message: string;
  hint?: string;
  step: number | undefined;
  endedAt: string;
  /** Did not end by itself: the trainer was restarted, something more urgent came, or there was no room. Not charged. */
  interrupted: boolean;
}

/** Taken away, or never let in: it says nothing about the run. */
const UNCHARGED: readonly ErrorCode[] = [
  'cluster.preempted',
  'cluster.evicted',
  'cluster.no-capacity',
  'cluster.unreachable',
];

/** How a process ends that somebody ends: when the trainer says why it did, that is the reason. */
const FOLLOWING: readonly ErrorCode[] = [
  'storage.unreachable',
  'runtime.killed',
  'runtime.crashed',
  'collective.failed',
  'runtime.interrupted',
];

export function endOf(status: RunStatus, now: string): AttemptEnd {
  const endedAt = status.endedAt ?? now;
  const { outcome } = status;
  const told = outcome && codeOfOutcome(outcome, status);
  const given = codeGiven(status);
  if (given && (!outcome || given === 'run.deadline-exceeded' || (told !== undefined && FOLLOWING.includes(told)))) {
    const message = status.message || ERRORS[given].title;
    return { code: given, message, step: outcome?.step, endedAt, interrupted: UNCHARGED.includes(given) };
  }
  if (outcome) {
    return {
      code: told,
      message: outcome.message,
      ...(outcome.hint !== undefined && { hint: outcome.hint }),
      step: outcome.step,
      endedAt,
      interrupted: outcome.code === 'runtime.interrupted' || (told !== undefined && UNCHARGED.includes(told)),
    };
  }
  const code = CODE_OF_REASON[status.reason] ?? 'runtime.interrupted';
  return { code, message: status.message || ERRORS[code].title, step: undefined, endedAt, interrupted: false };
}

const codeOfOutcome = ({ code, result }: RunOutcome, { reason }: RunStatus): ErrorCode | undefined =>
  code ?? (reason === 'succeeded' || result ? undefined : 'runtime.interrupted');

/** The code of what the cluster or the trainer did to the attempt; undefined where it ended by itself. */
function codeGiven({ reason }: RunStatus): ErrorCode | undefined {
  const code = CODE_OF_REASON[reason];
  return code !== null && /^(?:cluster|run)\./.test(code) ? code : undefined;
}

const MAX_RETRIES = 3;
const MAX_CRASHES = 1;
/** What may be the run's own doing is tried once more only. */
const TRIED_ONCE_MORE: readonly ErrorCode[] = ['runtime.crashed', 'cluster.node-pressure'];
/** Interruptions are not charged, but a run that never comes further must end some day. */
const MAX_INTERRUPTIONS = 30;

export type RetryDecision = { retry: true; counters: Partial<Run> } | { retry: false; why: string };

/**
 * Infrastructure faults go on from the newest checkpoint, at most three in a row without a new one; a crash once; what
 * the user or an administrator has to change, never. Pure.
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
  if (TRIED_ONCE_MORE.includes(end.code)) {
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
