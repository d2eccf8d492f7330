import type { JobRecord } from '@luthier/contracts';
import type { Job } from './job.js';

/** The public record of a job. */
export function toRecord(job: Job): JobRecord {
  const { request } = job;
  return {
    id: job.id,
    status: job.status,
    phase: job.phase,
    message: job.message,
    createdAt: job.createdAt,
    finishedAt: job.finishedAt,
    model: request.model,
    baseModelId: job.base?.id ?? null,
    fineTunedModel: job.fineTunedModel,
    tunedModelId: job.tunedModelId,
    trainingFile: request.trainingFile,
    validationFile: request.validationFile,
    generalFile: request.generalFile,
    mix: request.mix,
    suffix: request.suffix,
    seed: job.seed,
    metadata: request.metadata,
    method: request.method,
    tuning: job.tuning,
    hyperparameters: job.hyperparameters,
    cutoffLength: job.cutoffLength,
    resources: request.resources ?? null,
    queue: request.queue ?? null,
    priority: request.priority ?? 'normal',
    trainDatasetId: job.trainDatasetId,
    heldOutDatasetId: job.heldOutDatasetId,
    plan: job.plan,
    runId: job.runId,
    rehearsal: job.rehearsal ? { runId: job.rehearsal.runId, state: job.rehearsal.state } : null,
    progress: job.progress,
    placement: job.placement ?? null,
    attempts: [...job.attempts],
    trainedTokens: job.trainedTokens,
    result: job.result,
    evaluationId: job.evaluationId,
    error: job.error,
  };
}
