import { Injectable } from '@nestjs/common';
import { ERRORS, jobCancelled, newId } from '@luthier/contracts';
import type { ErrorCode, RunOutcome, RunStatus } from '@luthier/contracts';
import { applyRunEvent, fillFromStored } from '../../runs/apply-run-event.js';
import type { StoredLines } from '../../runs/apply-run-event.js';
import { Projector } from '../../runs/projector.js';
import { decideRetry, endOf } from '../../runs/retry-policy.js';
import type { AttemptEnd } from '../../runs/retry-policy.js';
import { RunFiles } from '../../runs/run-files.js';
import { closed, ended, nextAttempt } from '../../runs/run.js';
import type { Run } from '../../runs/run.js';
import { RunStore } from '../../runs/run.store.js';
import { TrainingMetrics } from '../../training.metrics.js';
import { attemptEnded, cancelled, paused, retried, shrunk, trained } from '../job.js';
import type { Job } from '../job.js';
import type { JobTransaction } from '../job.store.js';
import { PhaseStep, change, failJob, wait } from './step.js';
import type { StepOutcome } from './step.js';

/** At most this many halvings of the batch by `autoFix`. */
const MAX_FIXES = 3;

/** A run that is placed: nothing to do until its attempt has ended; then success, another attempt, or the end. */
@Injectable()
export class FollowRun extends PhaseStep {
  constructor(
    private readonly runs: RunStore,
    private readonly projector: Projector,
    private readonly files: RunFiles,
    private readonly metrics: TrainingMetrics,
  ) {
    super();
  }

  override async look(job: Job): Promise<StepOutcome> {
    const run = job.runId === null ? undefined : await this.runs.get(job.runId);
    if (!run) return wait();
    if (run.projectedGeneration !== run.generation) await this.projector.project(run.id);
    const { status } = run;
    if (!run.live || status?.phase !== 'ended' || status.attempt !== run.attempt) return wait();
    const stored = status.outcome ? await this.storedLines(status.outcome) : undefined;
    return change(async (tx) => {
      // Looked at again under the lock: the end is acted upon once.
      if (!tx.run?.live || tx.run.attempt !== run.attempt || tx.run.status?.phase !== 'ended') return;
      await this.end(tx, tx.run, tx.run.status, stored);
    });
  }

  /** The curve as the runner left it: what the run stream lost is filled from here. */
  private async storedLines(outcome: RunOutcome): Promise<StoredLines> {
    const lines: StoredLines = { started: undefined, steps: [], evaluations: [] };
    for (const uri of outcome.eventFiles) {
      for await (const event of this.files.readEvents(uri)) {
        if (event.rank !== 0) continue;
        if (event.type === 'started') lines.started ??= event;
        if (event.type === 'step') lines.steps.push(event);
        if (event.type === 'evaluation') lines.evaluations.push(event);
      }
    }
    return lines;
  }

  private async end(tx: JobTransaction, run: Run, status: RunStatus, stored: StoredLines | undefined): Promise<void> {
    const now = new Date().toISOString();
    const end = endOf(status, now);
    if (stored && status.outcome) {
      const { attempt, incarnation } = status.outcome;
      await fillFromStored(tx, run.id, { attempt, incarnation }, stored);
    }
    if (status.outcome?.checkpoint) {
      const { attempt, incarnation, checkpoint } = status.outcome;
      const event = { type: 'checkpoint-stored' as const, time: end.endedAt, ...checkpoint };
      await applyRunEvent(tx, { runId: run.id, attempt, incarnation, event });
    }
    const job = attemptEnded(tx.job, run.attempt, {
      endedAt: end.endedAt,
      code: end.code ?? null,
      message: end.message,
    });
    await tx.saveJob(job, { tell: false });
    const { code } = end;
    if (code === undefined) return this.succeed(tx, run, status.outcome, now);
    if (job.intent !== 'run') return this.stop(tx, run, { ...end, code }, now);
    return this.failOrRetry(tx, run, { ...end, code }, status);
  }

  private async succeed(tx: JobTransaction, run: Run, outcome: RunOutcome | undefined, now: string): Promise<void> {
    const result = outcome?.result;
    if (result?.mode !== 'train' || !outcome?.artifact) {
      return failJob(tx, { code: 'runtime.crashed', message: 'The run ended without a model.' });
    }
    const { steps, firstLoss, lastLoss, tokensPerSecond, peakMemoryMib, trainedTokens, base, tuned } = result;
    await tx.saveRun(closed(run, now));
    const { progress } = tx.job;
    await tx.saveJob(
      trained(tx.job, {
        result: {
          steps,
          firstLoss,
          lastLoss,
          tokensPerSecond,
          peakMemoryMib,
          base: base ?? null,
          tuned: tuned ?? null,
        },
        artifact: outcome.artifact,
        trainedTokens,
        progress: progress && { ...progress, step: steps, secondsLeft: 0 },
      }),
    );
  }

  /** The user asked for it: whatever the attempt ended with, but success, is the stop. */
  private async stop(tx: JobTransaction, run: Run, end: AttemptEnd & { code: ErrorCode }, now: string): Promise<void> {
    const fault = end.code === 'runtime.interrupted' ? null : end.message;
    if (tx.job.intent === 'pause') {
      await tx.saveRun(ended(run));
      await tx.event({ level: 'info', type: 'message', message: 'The job is paused' });
      return tx.saveJob(paused(tx.job, fault));
    }
    await tx.saveRun(closed(run, now));
    await tx.event({ level: 'info', type: 'message', message: 'The job has been cancelled' });
    await tx.saveJob(cancelled(tx.job, now, fault));
    await tx.announce(jobCancelled, { jobId: tx.job.id, status: 'cancelled', modelId: null, code: null });
  }

  private async failOrRetry(
    tx: JobTransaction,
    run: Run,
    end: AttemptEnd & { code: ErrorCode },
    status: RunStatus,
  ): Promise<void> {
    const newest = await tx.newestCheckpointStep(run.id);
    const decision = decideRetry(run, end, newest, status.reason);
    if (decision.retry) {
      const next = nextAttempt(run, decision.counters);
      await tx.saveRun(next);
      this.metrics.attempts.inc({ reason: end.code });
      await tx.event({
        level: 'warn',
        type: 'message',
        message: `${end.message} Attempt ${next.attempt} goes on from ${newest === null ? 'the start' : `step ${newest}`}.`,
        data: { code: end.code, attempt: next.attempt },
      });
      return tx.saveJob(retried(tx.job, next.attempt, end.code, newest));
    }
    const { globalBatch } = tx.job.hyperparameters;
    const fixable = end.code === 'device.out-of-memory' && tx.job.request.autoFix && globalBatch > 1;
    if (fixable && tx.job.fixes < MAX_FIXES) return this.shrink(tx, run, Math.floor(globalBatch / 2));
    const message = [end.message || ERRORS[end.code].title, decision.why].filter((text) => text !== '').join(' ');
    return failJob(tx, { code: end.code, message, hint: end.hint, step: end.step });
  }

  private async shrink(tx: JobTransaction, run: Run, globalBatch: number): Promise<void> {
    await tx.saveRun(closed(run, new Date().toISOString()));
    const job = shrunk(tx.job, newId('run'), globalBatch);
    await tx.event({ level: 'warn', type: 'message', message: job.message, data: { globalBatch } });
    await tx.saveJob(job);
  }
}
