import { Inject, Injectable } from '@nestjs/common';
import { AppError, evaluateJob, jobSucceeded } from '@luthier/contracts';
import type { EvaluationRecord } from '@luthier/contracts';
import { MessageBus } from '@luthier/messaging';
import { TRAINING_CONFIG } from '../../training.config.js';
import type { TrainingConfig } from '../../training.config.js';
import { done, evaluationBegun } from '../job.js';
import type { Job } from '../job.js';
import type { JobTransaction } from '../job.store.js';
import { lastWords, nothingToCompare } from '../proof.js';
import { PhaseStep, change, mayPass, wait } from './step.js';
import type { StepOutcome } from './step.js';

/** The comparison with what the job started from. Whatever becomes of it, the model is trained and registered: the job succeeds. */
@Injectable()
export class Evaluate extends PhaseStep {
  constructor(
    private readonly bus: MessageBus,
    @Inject(TRAINING_CONFIG) private readonly config: TrainingConfig,
  ) {
    super();
  }

  override async look(job: Job): Promise<StepOutcome> {
    const nothing = nothingToCompare(job);
    if (nothing !== null) return change((tx) => succeed(tx, null, nothing));
    const late =
      job.evaluatingSince !== null && Date.now() - Date.parse(job.evaluatingSince) > this.config.evaluationTimeoutMs;
    try {
      const record = await this.ask(job);
      if (record.state === 'completed') return change((tx) => succeed(tx, record.id, unprovenBy(record)));
      if (record.state === 'failed') {
        return change((tx) => succeed(tx, record.id, record.error?.message ?? 'The evaluation failed.'));
      }
      if (late) return change((tx) => succeed(tx, record.id, 'The evaluation took too long.'));
      if (record.id === job.evaluationId) return wait();
      return change((tx) => tx.saveJob(evaluationBegun(tx.job, record.id)));
    } catch (cause) {
      const { code, message } = AppError.from(cause);
      if (mayPass(code) && !late) return wait();
      return change((tx) => succeed(tx, job.evaluationId, `The model could not be evaluated: ${message}`));
    }
  }

  private ask(job: Job): Promise<EvaluationRecord> {
    const { tunedModelId, base, startAdapter, request, result } = job;
    if (tunedModelId === null || !base) {
      throw new AppError('internal', undefined, { cause: new Error(`${job.id} has no model to evaluate`) });
    }
    return this.bus.request(evaluateJob, {
      jobId: job.id,
      modelId: tunedModelId,
      // What it is compared with is what it started from.
      baseModelId: startAdapter?.modelId ?? base.id,
      // Held-out prompts have no answers to compare with; the run itself has had them graded.
      heldOutFileId: request.method.type === 'grpo' ? null : request.validationFile,
      generalFileId: request.generalFile,
      base: result?.base ?? null,
      tuned: result?.tuned ?? null,
    });
  }
}

/** A comparison that has ended may have shown nothing. */
const unprovenBy = ({ verdict, verdictReason }: EvaluationRecord): string | null =>
  verdict === 'unproven' ? (verdictReason ?? 'The evaluation came to no verdict.') : null;

async function succeed(tx: JobTransaction, evaluationId: string | null, unprovenBecause: string | null): Promise<void> {
  const { job } = tx;
  const message = lastWords(unprovenBecause);
  await tx.event({ level: unprovenBecause === null ? 'info' : 'warn', type: 'message', message });
  await tx.saveJob(done({ ...job, evaluationId }, new Date().toISOString(), message));
  const { id: jobId, tunedModelId: modelId } = job;
  await tx.announce(jobSucceeded, { jobId, status: 'succeeded', modelId, code: null, unprovenBecause });
}
