import type { PastSpan } from '@luthier/service-kit';
import { isFinished } from './job.js';
import type { Job } from './job.js';

/** Remembers since when the job is in its phase. */
export const enteringPhase = (before: Job, after: Job, now: string): Job =>
  after.phase === before.phase && before.phaseSince !== undefined ? after : { ...after, phaseSince: now };

/** Phases and attempts that a change has ended, under the trace of the request that made the job. */
export function endedBetween(before: Job, after: Job, now: string): PastSpan[] {
  const parent = before.trace;
  if (parent === undefined || parent === null) return [];
  const of = { 'luthier.job_id': after.id, ...(before.runId !== null && { 'luthier.run_id': before.runId }) };
  const attempts = before.attempts.flatMap(({ attempt, endedAt: endedBefore }): PastSpan[] => {
    const { startedAt, endedAt, code } = after.attempts.find((one) => one.attempt === attempt) ?? {};
    if (endedBefore !== null || !startedAt || !endedAt) return [];
    const attributes = { ...of, 'luthier.attempt': attempt };
    return [{ name: `attempt ${attempt}`, parent, startedAt, endedAt, attributes, errorCode: code ?? undefined }];
  });
  const left = after.phase !== before.phase || (isFinished(after) && !isFinished(before));
  if (!left || before.phaseSince === undefined) return attempts;
  const failure = after.status === 'failed' ? after.error?.code : undefined;
  const phase = { name: before.phase, parent, startedAt: before.phaseSince, endedAt: now, attributes: of };
  return [...attempts, { ...phase, errorCode: failure }];
}
