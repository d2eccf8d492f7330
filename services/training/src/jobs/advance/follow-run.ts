import { Injectable } from '@nestjs/common';
import { ERRORS, jobCancelled, newId } from '@luthier/contracts';
import type { ErrorCode, RunOutcome, RunStatus } from '@luthier/contracts';
import { lessMemory } from '@luthier/planner';
import type { AutomaticChange } from '@luthier/planner';
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
import {
  allStepsMade,
  attemptEnded,
  cancelled,
  isRehearsing,
  paused,
  rehearsed,
  restarted,
  retried,
  shrunk,
  stepName,
  trained,
} from '../job.js';
import type { Job } from '../job.js';
import type { JobTransaction } from '../job.store.js';
import { plannedRun } from '../plan-input.js';
import { measuredBy } from '../rehearsal.js';
import { PhaseStep, change, failJob, wait } from './step.js';
import type { StepOutcome } from './step.js';

/** At most this many times a run is made smaller by `autoFix`. */
const MAX_FIXES = 3;
const OUT_OF_MEMORY: readonly ErrorCode[] = ['device.out-of-memory', 'host.out-of-memory'];

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
    // What a rehearsal learns is not the job's curve.
    const stored = status.outcome && !isRehearsing(job) ? await this.storedLines(status.outcome) : undefined;
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
    if (status.outcome?.checkpoint && !isRehearsing(tx.job)) {
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
    if (code === undefined && isRehearsing(job)) return this.goOn(tx, run, status.outcome, now);
    if (code === undefined) return this.succeed(tx, run, status.outcome, now);
    if (job.intent === 'restart') return this.restart(tx, run);
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
        progress: allStepsMade(tx.job.progress, steps),
      }),
    );
  }

  /** From the rehearsal to the run itself, unless the user has asked for something else meanwhile. */
  private async goOn(tx: JobTransaction, run: Run, outcome: RunOutcome | undefined, now: string): Promise<void> {
    const { job } = tx;
    const result = outcome?.result;
    if (result?.mode !== 'rehearse' || !job.rehearsal) {
      return failJob(tx, { code: 'runtime.crashed', message: 'The rehearsal ended without a result.' });
    }
    if (job.intent === 'cancel') {
      return this.stop(
        tx,
        run,
        { code: 'runtime.interrupted', message: '', step: 0, endedAt: now, interrupted: true },
        now,
      );
    }
    const measured = measuredBy(result);
    await tx.saveRun(closed(run, now));
    const message = `The rehearsal took ${Math.ceil(measured.memoryMib)} MiB and ${measured.secondsPerStep.toFixed(1)} s a step`;
    await tx.event({ level: 'info', type: 'message', message, data: { measured } });
    const next = rehearsed(job, newId('run'), { ...job.rehearsal, state: 'done', measured });
    await tx.saveJob(job.intent === 'pause' ? paused(next, null) : next);
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

  /** The user asked for it, whatever the attempt ended with: nothing of it is charged to the retries. */
  private async restart(tx: JobTransaction, run: Run): Promise<void> {
    const newest = await tx.newestCheckpointStep(run.id);
    const next = nextAttempt(run);
    await tx.saveRun(next);
    this.metrics.attempts.inc({ reason: 'restarted' });
    const job = restarted(tx.job, next.attempt, newest);
    await tx.event({
      ...{ level: 'info', type: 'message', message: `${job.message}.` },
      data: { attempt: next.attempt },
    });
    return tx.saveJob(job);
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
        message: `${end.message} Attempt ${next.attempt} goes on from ${stepName(newest)}.`,
        data: { code: end.code, attempt: next.attempt },
      });
      return tx.saveJob(retried(tx.job, next.attempt, end.code, newest));
    }
    const smaller = this.smallerRun(tx, run, end.code);
    if (smaller) return this.shrink(tx, run, smaller);
    const told = [end.message || ERRORS[end.code].title, decision.why].filter((text) => text !== '').join(' ');
    const message = isRehearsing(tx.job) ? `In the rehearsal: ${told}` : told;
    return failJob(tx, { code: end.code, message, hint: end.hint, step: end.step });
  }

  /** What may be tried without asking after the memory was not enough. */
  private smallerRun({ job }: JobTransaction, run: Run, code: ErrorCode): AutomaticChange | undefined {
    if (!OUT_OF_MEMORY.includes(code)) return undefined;
    const rehearses = isRehearsing(job);
    const fixesMax = job.request.autoFix ? MAX_FIXES : rehearses ? 1 : 0;
    const planned = job.fixes < fixesMax ? plannedRun(job, run) : null;
    const automatic = planned ? lessMemory(planned, peakOf(job)).automatic : undefined;
    // Nothing but time may be taken without being asked.
    const free = automatic !== undefined && Object.keys(automatic.change).length === 0;
    return job.request.autoFix || free ? automatic : undefined;
  }

  private async shrink(tx: JobTransaction, run: Run, to: AutomaticChange): Promise<void> {
    await tx.saveRun(closed(run, new Date().toISOString()));
    const job = shrunk(tx.job, newId('run'), to);
    const { change, totalMib } = to;
    await tx.event({ level: 'warn', type: 'message', message: job.message, data: { change, totalMib } });
    await tx.saveJob(job);
  }
}

/** What a rehearsal has taken of memory before it ended; undefined: it came to no step. */
const peakOf = ({ rehearsal }: Job): number | undefined =>
  rehearsal?.state === 'running' && rehearsal.peakMib > 0 ? rehearsal.peakMib : undefined;
