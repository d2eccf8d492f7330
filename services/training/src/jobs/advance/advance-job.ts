import { Inject, Injectable } from '@nestjs/common';
import { AppError } from '@luthier/contracts';
import type { JobPhase } from '@luthier/contracts';
import { LOGGER } from '@luthier/service-kit';
import type { Logger } from '@luthier/service-kit';
import { isFinished } from '../job.js';
import type { Job } from '../job.js';
import { JobStore } from '../job.store.js';
import { Admit } from './admit.js';
import { Evaluate } from './evaluate.js';
import { FollowRun } from './follow-run.js';
import { PlanAndQueue } from './plan-and-queue.js';
import { PrepareDatasets } from './prepare-datasets.js';
import { RegisterModel } from './register-model.js';
import { failJob, mayPass, change, wait } from './step.js';
import type { PhaseStep, StepOutcome } from './step.js';
import { ValidateFiles } from './validate-files.js';

/** More than a job has phases: an end to a loop that should end by itself. */
const MAX_STEPS = 30;

/**
 * Brings a job as far as it goes now. Level-triggered: reads the state, looks, changes, looks again. Calling it too often,
 * twice at once, or after a crash at any point does no harm: requests are idempotent, and a change is made only on the
 * revision that was looked at.
 */
@Injectable()
export class AdvanceJob {
  private readonly steps: Readonly<Record<JobPhase, PhaseStep | undefined>>;

  constructor(
    private readonly jobs: JobStore,
    @Inject(LOGGER) private readonly logger: Logger,
    validate: ValidateFiles,
    prepare: PrepareDatasets,
    plan: PlanAndQueue,
    admit: Admit,
    follow: FollowRun,
    register: RegisterModel,
    evaluate: Evaluate,
  ) {
    this.steps = {
      validating: validate,
      preparing: prepare,
      planning: plan,
      queued: admit,
      scheduling: follow,
      starting: follow,
      training: follow,
      saving: follow,
      registering: register,
      evaluating: evaluate,
      done: undefined,
    };
  }

  async advance(jobId: string): Promise<void> {
    for (let count = 0; count < MAX_STEPS; count += 1) {
      const job = await this.jobs.get(jobId);
      if (!job || isFinished(job)) return;
      const outcome = await this.look(job);
      if (outcome.kind === 'wait') {
        await this.tell(job, outcome.message);
        return;
      }
      const { after, changed } = await this.jobs.change(jobId, async (tx) => {
        const fresh = tx.job.revision === job.revision && tx.job.phase === job.phase && tx.job.status === job.status;
        if (fresh) await outcome.apply(tx);
        return { after: tx.job, changed: !fresh || tx.job.revision !== job.revision };
      });
      if (!changed) return; // it waits: a message at most was written
      if (after.phase !== job.phase || after.status !== job.status) {
        this.logger.info({
          op: 'job.advance',
          ok: true,
          jobId,
          from: job.phase,
          to: after.phase,
          status: after.status,
        });
      }
    }
  }

  private async look(job: Job): Promise<StepOutcome> {
    try {
      return (await this.steps[job.phase]?.look(job)) ?? wait();
    } catch (cause) {
      if (!(cause instanceof AppError)) throw cause;
      const { code, message, hint } = cause;
      this.logger.warn({ op: 'job.advance', ok: false, jobId: job.id, phase: job.phase, errorCode: code, err: cause });
      if (mayPass(code)) return wait(`${message}; it is tried again`);
      return change((tx) => failJob(tx, { code, message, hint }));
    }
  }

  private async tell(job: Job, message: string | undefined): Promise<void> {
    if (message === undefined || message === job.message) return;
    await this.jobs.change(job.id, async (tx) => {
      if (tx.job.revision === job.revision && tx.job.message !== message) await tx.saveJob({ ...tx.job, message });
    });
  }
}
