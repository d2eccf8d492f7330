import { ERRORS, jobFailed } from '@luthier/contracts';
import type { ErrorCode } from '@luthier/contracts';
import { diagnose } from '@luthier/planner';
import type { Fault } from '@luthier/planner';
import { closed } from '../../runs/run.js';
import { failed } from '../job.js';
import type { Job } from '../job.js';
import type { JobTransaction } from '../job.store.js';
import { plannedRun } from '../plan-input.js';

/** What a look at a job led to: nothing to do yet, or a change to make under its lock. */
export type StepOutcome =
  | { readonly kind: 'wait'; readonly message?: string }
  | { readonly kind: 'change'; readonly apply: (tx: JobTransaction) => Promise<void> };

/**
 * One phase's part of the level-triggered step function: looks at the job and at the services it needs (idempotent
 * requests only), and says what to change. What it throws as an AppError fails the job, unless trying again may help.
 */
export abstract class PhaseStep {
  abstract look(job: Job): Promise<StepOutcome>;
}

export const wait = (message?: string): StepOutcome => ({ kind: 'wait', ...(message !== undefined && { message }) });
export const change = (apply: (tx: JobTransaction) => Promise<void>): StepOutcome => ({ kind: 'change', apply });

/** Ends the job with a diagnosis, closes its run, and announces it: one transaction. */
export async function failJob(tx: JobTransaction, fault: Fault): Promise<void> {
  const now = new Date().toISOString();
  const error = diagnose(fault, { ...tx.job, run: plannedRun(tx.job, tx.run) });
  if (tx.run && !tx.run.closed) await tx.saveRun(closed(tx.run, now));
  await tx.event({
    level: 'error',
    type: 'message',
    message: `${error.message} ${error.hint}`,
    data: { code: error.code },
  });
  await tx.saveJob(failed(tx.job, now, error));
  await tx.announce(jobFailed, { jobId: tx.job.id, status: 'failed', modelId: null, code: error.code });
}

export const fail = (fault: Fault): StepOutcome => change((tx) => failJob(tx, fault));

/** Codes that another service answers while it is starting, busy or broken: the same request later may do. */
export const mayPass = (code: ErrorCode): boolean => ERRORS[code].retryable || code === 'internal';
