import { Injectable } from '@nestjs/common';
import { AVOIDED_NODES_MAX, AppError, jobCancelled, locateRun } from '@luthier/contracts';
import type { FitAnswer } from '@luthier/contracts';
import { MessageBus } from '@luthier/messaging';
import { askFit } from '../queue/ask-fit.js';
import { obstacleOf } from '../queue/share.js';
import { Projector } from '../runs/projector.js';
import { closed, restarting, stopped } from '../runs/run.js';
import type { Run } from '../runs/run.js';
import { RunStore } from '../runs/run.store.js';
import { cancelled, isFinished, isInRun, paused, restartAsked, resumed, stopAsked } from './job.js';
import type { Job } from './job.js';
import { JobStore } from './job.store.js';
import type { JobTransaction } from './job.store.js';
import { JobWorker } from './job-worker.js';

/** What a user may order of a job. Where an attempt is live, it takes effect when that has ended. */
@Injectable()
export class JobOrders {
  constructor(
    private readonly jobs: JobStore,
    private readonly runs: RunStore,
    private readonly bus: MessageBus,
    private readonly worker: JobWorker,
    private readonly projector: Projector,
  ) {}

  /** At once without a live attempt; else when the run has saved and left. @throws AppError `job.not-cancellable`. */
  async cancel(jobId: string): Promise<Job> {
    return this.ask(jobId, async (tx) => {
      const { job, run } = tx;
      if (job.status === 'cancelled' || (job.intent === 'cancel' && !isFinished(job))) return;
      if (isFinished(job) || job.phase === 'registering' || job.phase === 'evaluating') {
        const message = isFinished(job)
          ? `The job has already ended as ${job.status}`
          : 'The training has already succeeded';
        throw new AppError('job.not-cancellable', message);
      }
      // Also when nothing is projected yet: the projection may be under way, and only the trainer knows what it began.
      if (run?.live) {
        await tx.saveRun(stopped(run, 'cancel'));
        await tx.event({ level: 'info', type: 'message', message: 'Cancelling the job' });
        return tx.saveJob(stopAsked(job, 'cancel'));
      }
      const now = new Date().toISOString();
      if (run && !run.closed) await tx.saveRun(closed(run, now));
      await tx.event({ level: 'info', type: 'message', message: 'The job has been cancelled' });
      await tx.saveJob(cancelled(job, now, null));
      await tx.announce(jobCancelled, { jobId, status: 'cancelled', modelId: null, code: null });
    });
  }

  /** @throws AppError `job.not-pausable` unless the job is queued or training. */
  async pause(jobId: string): Promise<Job> {
    return this.ask(jobId, async (tx) => {
      const { job, run } = tx;
      if (job.status === 'paused' || job.intent === 'pause') return;
      const possible =
        (job.status === 'queued' && job.phase === 'queued') ||
        (job.status === 'running' && isInRun(job) && job.intent !== 'cancel');
      if (!possible)
        throw new AppError('job.not-pausable', `A job that is ${job.status} (${job.phase}) cannot be paused`);
      if (run?.live) {
        await tx.saveRun(stopped(run, 'pause'));
        return tx.saveJob(stopAsked(job, 'pause'));
      }
      await tx.event({ level: 'info', type: 'message', message: 'The job is paused' });
      await tx.saveJob(paused(job, null));
    });
  }

  /** Back into the queue; goes on from the newest checkpoint. @throws AppError `job.not-pausable` unless paused. */
  async resume(jobId: string): Promise<Job> {
    return this.ask(jobId, async (tx) => {
      if (tx.job.status !== 'paused') {
        throw new AppError('job.not-pausable', `A job that is ${tx.job.status} cannot be resumed`);
      }
      await tx.event({ level: 'info', type: 'message', message: 'The job is resumed' });
      await tx.saveJob(resumed(tx.job));
    });
  }

  /**
   * Ends the live attempt; the next one goes on from the newest checkpoint, away from the nodes of this one unless told
   * otherwise. Does nothing where the attempt meant has ended or is being ended.
   * @throws AppError `job.not-restartable`.
   */
  async restart(jobId: string, order: { attempt?: number | undefined; avoidNode: boolean }): Promise<Job> {
    const job = await this.jobs.get(jobId);
    const run = job?.runId == null ? undefined : await this.runs.get(job.runId);
    const { attempt = run?.attempt ?? 1 } = order;
    const isNew = job?.intent === 'run' && run?.live === true && run.attempt === attempt;
    const move = isNew && order.avoidNode ? await this.moveOf(job, run) : STAY;
    return this.ask(jobId, (tx) => orderRestart(tx, attempt, move));
  }

  /**
   * Away from where it is; from the nodes left before only where that leaves it a place.
   * @throws AppError `job.not-restartable` when no other node could ever hold the run.
   */
  private async moveOf(job: Job, run: Run): Promise<Move> {
    const { id: runId, attempt, profile, resources } = run;
    const { nodes: leaves } = await this.bus.request(locateRun, { runId, attempt, profile });
    if (leaves.length === 0) return { leaves, avoids: run.avoidNodes };
    const placeWithout = async (withoutNodes: string[]): Promise<FitAnswer | undefined> => {
      const asked = { profiles: [{ name: profile }], deviceMemoryMib: resources.deviceMemoryMib, withoutNodes };
      return (await askFit(this.bus, job.request, asked))?.get(profile);
    };
    const all = [...new Set([...run.avoidNodes, ...leaves])].slice(-AVOIDED_NODES_MAX);
    if ((await placeWithout(all))?.canEverFit !== false) return { leaves, avoids: all };
    const fit = await placeWithout(leaves);
    if (fit?.canEverFit !== false) return { leaves, avoids: leaves };
    throw new AppError('job.not-restartable', `Without ${listed(leaves)} it has no place: ${fit.message}`, {
      param: 'avoid_node',
      obstacle: obstacleOf(fit),
      hint: 'Restart it on the same node, or add one.',
    });
  }

  private async ask(jobId: string, change: (tx: JobTransaction) => Promise<void>): Promise<Job> {
    const job = await this.jobs.change(jobId, async (tx) => {
      await change(tx);
      return tx.job;
    });
    // A fault here is not the caller's: the sweep projects what is behind.
    if (job.runId !== null) await this.projector.project(job.runId).catch(() => undefined);
    this.worker.wake(jobId);
    return job;
  }
}

/** Where a restarted run leaves from, and all that it keeps away from. */
interface Move {
  readonly leaves: readonly string[];
  readonly avoids: readonly string[];
}
const STAY: Move = { leaves: [], avoids: [] };

async function orderRestart(tx: JobTransaction, attempt: number, { leaves, avoids }: Move): Promise<void> {
  const { job, run } = tx;
  if (run && attempt < run.attempt) return;
  if (job.status !== 'running' || !isInRun(job) || !run?.live) {
    throw new AppError('job.not-restartable', `A job that is ${job.status} (${job.phase}) has no attempt to end`);
  }
  if (attempt > run.attempt) throw new AppError('job.not-restartable', `There is no attempt ${attempt} yet`);
  if (job.intent === 'restart') return;
  if (job.intent !== 'run') {
    const doing = job.intent === 'cancel' ? 'cancelled' : 'paused';
    throw new AppError('job.not-restartable', `The job is being ${doing}`);
  }
  await tx.saveRun(restarting(run, avoids));
  const message =
    leaves.length > 0
      ? `Restarting elsewhere: attempt ${run.attempt} on ${listed(leaves)} is being ended`
      : `Restarting: attempt ${run.attempt} is being ended`;
  await tx.event({ level: 'info', type: 'message', message, data: { attempt: run.attempt } });
  await tx.saveJob(restartAsked(job));
}

const NAMES_TOLD = 4;
const listed = (names: readonly string[]): string =>
  names.length <= NAMES_TOLD
    ? names.join(', ')
    : `${names.slice(0, NAMES_TOLD).join(', ')} and ${names.length - NAMES_TOLD} more`;
