import type { z } from 'zod';
import type { JobRecord, jobCheckpoint, jobEvent } from '@luthier/contracts';
import { unixSeconds } from '../http/openai-list.js';
import { presentGrader } from './job-grader.js';
import { presentMethodSettings } from './job-method.js';
import type { checkpointObject, jobEventObject, jobObject } from '../http/openai-schemas.js';
import { snakeName } from '../http/snake-case.js';

/** OpenAI requires an organisation; an installation is one. */
const ORGANIZATION = 'luthier';

/** A job as OpenAI's `FineTuningJob`. `nowMs` is what the time left counts from. */
export function presentJob(job: JobRecord, nowMs: number = Date.now()): z.output<typeof jobObject> {
  const hyperparameters = {
    n_epochs: job.hyperparameters.epochs,
    batch_size: job.hyperparameters.globalBatch,
    learning_rate_multiplier: 'auto' as const,
    learning_rate: job.hyperparameters.learningRate,
  };
  const methodName = job.method.type === 'grpo' ? 'reinforcement' : job.method.type;
  const secondsLeft = job.status === 'running' ? (job.progress?.secondsLeft ?? null) : null;
  return {
    id: job.id,
    object: 'fine_tuning.job',
    created_at: unixSeconds(job.createdAt),
    model: job.model,
    organization_id: ORGANIZATION,
    status: job.status,
    training_file: job.trainingFile,
    validation_file: job.validationFile,
    result_files: [],
    seed: job.seed,
    hyperparameters,
    method: {
      type: methodName,
      [methodName]: {
        ...(job.method.type === 'grpo' && { grader: presentGrader(job.method.grader) }),
        hyperparameters: { ...hyperparameters, ...presentMethodSettings(job.method) },
      },
    },
    fine_tuned_model: job.fineTunedModel,
    finished_at: job.finishedAt === null ? null : unixSeconds(job.finishedAt),
    estimated_finish: secondsLeft === null ? null : Math.round(nowMs / 1000 + secondsLeft),
    trained_tokens: job.trainedTokens,
    error: job.error && { code: job.error.code, message: `${job.error.message} ${job.error.hint}`.trim(), param: null },
    user_provided_suffix: job.suffix,
    metadata: job.metadata,
    integrations: [],
  };
}

/** OpenAI's names for what we measure; others keep their own in snake_case. */
const OPENAI_METRICS: Readonly<Record<string, string>> = {
  loss: 'train_loss',
  tokenAccuracy: 'train_mean_token_accuracy',
  evaluationLoss: 'full_valid_loss',
  evaluationTokenAccuracy: 'full_valid_mean_token_accuracy',
};

function inOpenAiNames<T>(values: Record<string, T>): Record<string, T> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [OPENAI_METRICS[name] ?? snakeName(name), value]),
  );
}

export const presentJobEvent = (event: z.output<typeof jobEvent>): z.output<typeof jobEventObject> => ({
  object: 'fine_tuning.job.event',
  id: event.id,
  created_at: unixSeconds(event.createdAt),
  level: event.level,
  message: event.message,
  type: event.type,
  data: event.data && inOpenAiNames(event.data),
});

/** `job` names the model that the checkpoint belongs to. */
export const presentCheckpoint = (
  checkpoint: z.output<typeof jobCheckpoint>,
  job: JobRecord,
): z.output<typeof checkpointObject> => ({
  object: 'fine_tuning.job.checkpoint',
  id: checkpoint.id,
  created_at: unixSeconds(checkpoint.createdAt),
  fine_tuning_job_id: checkpoint.jobId,
  fine_tuned_model_checkpoint: `${job.fineTunedModel ?? `ft:${job.model}:${job.id}`}:ckpt-step-${checkpoint.step}`,
  step_number: checkpoint.step,
  metrics: { step: checkpoint.step, ...inOpenAiNames(checkpoint.metrics) },
});
