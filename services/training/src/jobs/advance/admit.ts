import { Inject, Injectable } from '@nestjs/common';
import { AppError } from '@luthier/contracts';
import { MessageBus } from '@luthier/messaging';
import { decideAdmission, whyUnsupported } from '../../queue/admission.js';
import { shareOn } from '../../queue/share.js';
import { RunFiles } from '../../runs/run-files.js';
import { buildRunRequest } from '../../runs/run-request.js';
import type { Profile } from '../../runs/run-request.js';
import { newRun, nextAttempt } from '../../runs/run.js';
import { TRAINING_CONFIG } from '../../training.config.js';
import type { TrainingConfig } from '../../training.config.js';
import { TrainingMetrics } from '../../training.metrics.js';
import { admitted, priorityOf, rehearsing } from '../job.js';
import type { Job } from '../job.js';
import type { JobTransaction } from '../job.store.js';
import { isToBeRehearsed } from '../rehearsal.js';
import { inventoryOf, placeJobRun, planJobRun, refuse, wishOfJob } from './plan-and-queue.js';
import type { PlacedPlan } from './plan-and-queue.js';
import { PhaseStep, change, fail, wait } from './step.js';
import type { StepOutcome } from './step.js';

type WrittenRequest = Awaited<ReturnType<RunFiles['writeRequest']>>;

/** The queue: a job starts when it is its turn and its profile has a place. */
@Injectable()
export class Admit extends PhaseStep {
  constructor(
    private readonly bus: MessageBus,
    private readonly files: RunFiles,
    private readonly metrics: TrainingMetrics,
    @Inject(TRAINING_CONFIG) private readonly config: TrainingConfig,
  ) {
    super();
  }

  override async look(job: Job): Promise<StepOutcome> {
    if (job.status !== 'queued') return wait(); // paused
    const inventory = await inventoryOf(this.bus);
    if (!inventory) return wait('Waiting for the trainer to say what there is to run on');
    const wish = wishOfJob(job);
    const unsupported = whyUnsupported(inventory, wish);
    if (unsupported) {
      const { message, hint } = unsupported;
      return fail({ code: 'model.unsupported', message, hint });
    }
    const placed = await placeJobRun(this.bus, job, inventory);
    const { plan, profile, fit } = placed;
    if (plan.verdict === 'can-never-fit') return change((tx) => refuse(tx, plan));
    if (!profile) return wait('Waiting for a runtime that can train this model');
    const planned: Job = { ...job, plan };
    const share = shareOn(job.request, profile);
    const mode = isToBeRehearsed(job, plan, profile, share) ? 'rehearse' : 'train';
    const request = await this.requestOf(planned, profile, mode);
    return change(async (tx) => {
      await tx.lockQueue();
      const others = (await tx.liveRuns()).filter(({ jobId }) => jobId !== job.id);
      const ahead = (await tx.queuedAhead()).filter(
        (other) => planJobRun(other, inventory).profile?.name === profile.name,
      );
      const decision = decideAdmission({
        plan,
        profile,
        fit,
        share,
        countedRuns: inventory.countedRuns,
        liveRuns: others,
        ahead: ahead.length,
      });
      if (!decision.admit) {
        if (tx.job.message !== decision.why) await tx.saveJob({ ...tx.job, plan, message: decision.why });
        return;
      }
      await this.start(tx, planned, { ...placed, profile }, request);
    });
  }

  /** What is stored already stands: whether it is a rehearsal was decided then. */
  private async requestOf(job: Job, profile: Profile, mode: 'train' | 'rehearse'): Promise<WrittenRequest> {
    if (job.runId === null) throw new AppError('internal', undefined, { cause: new Error(`${job.id} has no run id`) });
    const deadlineSeconds = this.config.runDeadlineSeconds;
    return this.files.writeRequest(job.runId, buildRunRequest(job, profile, { deadlineSeconds, mode }));
  }

  private async start(
    tx: JobTransaction,
    job: Job,
    { profile, fit }: PlacedPlan & { profile: Profile },
    { uri: requestUri, sha256: requestSha256, request: { mode } }: WrittenRequest,
  ): Promise<void> {
    const { runId, plan } = job;
    if (runId === null || plan === null) return;
    const { nodes, devicesPerNode, queue } = shareOn(job.request, profile);
    const products = fit?.deviceProducts ?? [];
    if (tx.run) {
      await tx.saveRun(nextAttempt(tx.run));
      this.metrics.attempts.inc({ reason: 'resumed' });
    } else {
      await tx.saveRun(
        newRun({
          id: runId,
          jobId: job.id,
          stopGraceSeconds: this.config.stopGraceSeconds,
          ...{ requestUri, requestSha256 },
          resources: {
            ...{ nodes, devicesPerNode, deviceMemoryMib: devicesPerNode > 0 ? (plan.leastMib ?? plan.totalMib) : 0 },
            cpu: profile.cpus,
            memoryMib: profile.hostMemoryMib ?? profile.memoryMib,
            scratchMib: profile.scratchMib ?? 0,
            ...(products.length > 0 && { deviceProducts: products }),
          },
          runtime: profile.runtime,
          profile: profile.name,
          queueName: queue,
          priority: priorityOf(job),
          deadlineSeconds: this.config.runDeadlineSeconds,
        }),
      );
      this.metrics.attempts.inc({ reason: 'first' });
      this.metrics.wait.observe((Date.now() - Date.parse(job.createdAt)) / 1_000);
    }
    const what = mode === 'rehearse' ? 'Rehearsal of the fine-tuning job' : 'Fine-tuning job';
    await tx.event({ level: 'info', type: 'message', message: `${what} started on ${profile.device}` });
    const next = admitted(tx.job, plan, tx.run?.attempt ?? 1);
    await tx.saveJob(mode === 'rehearse' ? rehearsing(next, runId) : next);
  }
}
