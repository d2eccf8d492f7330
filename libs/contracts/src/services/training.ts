import { z } from 'zod';
import { defineEvent, defineRequest } from '../define.js';
import { errorCode } from '../errors.js';
import { idOf } from '../ids.js';
import { page, pageQuery } from '../paging.js';
import { plan } from '../plan.js';
import { priority } from '../priority.js';
import { score } from '../run-events.js';
import { RUN_REASONS, runParams } from '../run-reasons.js';
import { PRECISIONS, hyperparameters, method, tuning } from '../run-spec.js';
import { mixSpec } from './datasets.js';

export const JOB_STATUSES = [
  'validating_files',
  'queued',
  'running',
  'paused',
  'succeeded',
  'failed',
  'cancelled',
] as const;
export type JobStatus = (typeof JOB_STATUSES)[number];
export const isTerminalJobStatus = (status: JobStatus): boolean =>
  status === 'succeeded' || status === 'failed' || status === 'cancelled';

export const JOB_PHASES = [
  'validating',
  'preparing',
  'planning',
  'queued',
  'scheduling',
  'starting',
  'training',
  'saving',
  'registering',
  'evaluating',
  'done',
] as const;
export type JobPhase = (typeof JOB_PHASES)[number];

/** How many devices a run gets, and of which kind. Devices are alike on every node. */
export const jobResources = z.object({
  nodes: z.int().min(1).max(1024),
  /** 0: on the CPU; null: one where there are devices. */
  devicesPerNode: z.int().min(0).max(128).nullable(),
  /** Part of a product name, such as "H100"; null: any. */
  deviceType: z.string().min(1).max(64).nullable(),
});
export type JobResources = z.output<typeof jobResources>;
/** Of Kubernetes objects. */
export const queueName = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/, 'expected the name of a queue: a-z, 0-9, "-" and "."');

/** What a user wants. What is left out is decided by training (advice) and written into the job record. */
export const jobRequest = z.object({
  /** Chosen by the caller, so that asking twice makes one job. */
  jobId: idOf('job'),
  /** Id or name of a base model; a catalogue name that is not imported yet is imported first. */
  model: z.string().min(1),
  trainingFile: idOf('file'),
  validationFile: idOf('file').nullable(),
  /** Questions of general knowledge, asked of base and tuned to see what was forgotten. */
  generalFile: idOf('file').nullable(),
  mix: mixSpec.nullable(),
  suffix: z.string().min(1).max(64).nullable(),
  seed: z.int().min(0).max(2147483647).nullable(),
  metadata: z.record(z.string().max(64), z.string().max(512)),
  method,
  tuning: tuning.nullable(),
  hyperparameters: hyperparameters.partial().extend({ learningRateMultiplier: z.number().positive().optional() }),
  cutoffLength: z.int().min(16).max(131072).nullable(),
  /** Allows a smaller run after the memory was not enough, without asking: more time, smaller batches, shorter rows, a lower rank. */
  autoFix: z.boolean(),
  /** Null or absent (older jobs): one device where there are devices. */
  resources: jobResources.nullish(),
  /** Null or absent: the queue of the place where it runs. */
  queue: queueName.nullish(),
  /** Null or absent: normal. */
  priority: priority.nullish(),
  /** Null or absent: what the device computes fastest in. */
  precision: z.enum(PRECISIONS).nullish(),
  /** Whether its hardest steps are tried before it runs; null or absent: where that costs little beside the run. */
  rehearsal: z.boolean().nullish(),
});
export type JobRequest = z.output<typeof jobRequest>;

export const jobAttempt = z.object({
  attempt: z.int(),
  startedAt: z.string().nullable(),
  endedAt: z.string().nullable(),
  code: errorCode.nullable(),
  message: z.string(),
  resumedFromStep: z.int().nullable(),
});

export const jobProgress = z.object({
  step: z.int(),
  totalSteps: z.int(),
  epoch: z.number(),
  loss: z.number().nullable(),
  tokensPerSecond: z.number().nullable(),
  secondsLeft: z.number().nullable(),
  memoryMib: z.number().nullable(),
});

export const diagnosis = z.object({
  code: errorCode,
  message: z.string(),
  hint: z.string(),
  /** A changed configuration to try; empty when there is nothing to change. */
  change: z.record(z.string(), z.union([z.string(), z.number()])),
});

/** What the trainer says of the job's run beyond its phase: why it waits, or why it ended. */
export const jobPlacement = z.object({
  reason: z.enum(RUN_REASONS),
  params: runParams,
  message: z.string(),
  /** The cluster's own words, at most 1 KiB. */
  excerpt: z.string().nullable(),
});
export type JobPlacement = z.output<typeof jobPlacement>;

export const jobRecord = z.object({
  id: idOf('job'),
  status: z.enum(JOB_STATUSES),
  phase: z.enum(JOB_PHASES),
  /** One sentence for the user about where the job is. */
  message: z.string(),
  createdAt: z.string(),
  finishedAt: z.string().nullable(),
  model: z.string(),
  baseModelId: z.string().nullable(),
  fineTunedModel: z.string().nullable(),
  tunedModelId: z.string().nullable(),
  trainingFile: z.string(),
  validationFile: z.string().nullable(),
  generalFile: z.string().nullable(),
  mix: mixSpec.nullable(),
  suffix: z.string().nullable(),
  seed: z.int(),
  metadata: z.record(z.string(), z.string()),
  method,
  tuning,
  hyperparameters,
  cutoffLength: z.int(),
  /** As asked for; null: left open; absent in records of older jobs. */
  resources: jobResources.nullish(),
  queue: z.string().nullish(),
  /** Absent in records of older jobs: normal. */
  priority: priority.optional(),
  trainDatasetId: z.string().nullable(),
  heldOutDatasetId: z.string().nullable(),
  plan: plan.nullable(),
  runId: z.string().nullable(),
  /** The run that tries the hardest steps beforehand; null or absent: there is none (yet). */
  rehearsal: z.object({ runId: z.string(), state: z.enum(['running', 'done']) }).nullish(),
  progress: jobProgress.nullable(),
  /** Absent or null: nothing is to be said of it. */
  placement: jobPlacement.nullish(),
  attempts: z.array(jobAttempt),
  trainedTokens: z.int().nullable(),
  result: z
    .object({
      steps: z.int(),
      firstLoss: z.number(),
      lastLoss: z.number(),
      tokensPerSecond: z.number(),
      peakMemoryMib: z.number(),
      base: score.nullable(),
      tuned: score.nullable(),
    })
    .nullable(),
  evaluationId: z.string().nullable(),
  error: diagnosis.nullable(),
});
export type JobRecord = z.output<typeof jobRecord>;

export const jobEvent = z.object({
  id: idOf('jobEvent'),
  createdAt: z.string(),
  level: z.enum(['info', 'warn', 'error']),
  type: z.enum(['message', 'metrics']),
  message: z.string(),
  data: z.record(z.string(), z.unknown()).nullable(),
});
export const jobCheckpoint = z.object({
  id: idOf('checkpoint'),
  createdAt: z.string(),
  jobId: z.string(),
  step: z.int(),
  uri: z.string(),
  metrics: z.record(z.string(), z.number()),
});
export const metricPoint = z.object({ step: z.int(), name: z.string(), value: z.number() });

/** One entry of a job's live stream: `id` is training's own number, rising by job, without gap or double. */
export const streamEntry = z.object({
  id: z.int().positive(),
  type: z.enum(['job', 'event', 'metrics', 'checkpoint']),
  data: z.record(z.string(), z.unknown()),
});
export type StreamEntry = z.output<typeof streamEntry>;
/** What `data` of an entry holds, by its type: the whole job record after the change, or the new thing itself. */
export const streamData = {
  job: jobRecord,
  event: jobEvent,
  metrics: z.object({ points: z.array(metricPoint) }),
  checkpoint: jobCheckpoint,
} as const;

const s = 'luthier.v1.rpc.training';
const byJob = z.object({ jobId: z.string() });
export const createJob = defineRequest({
  subject: `${s}.create-job`,
  request: jobRequest,
  response: jobRecord,
  errors: [
    'model.not-found',
    'file.not-found',
    'file.wrong-rows',
    'request.invalid',
    'request.unsupported',
    'model.unsupported',
    'plan.does-not-fit',
  ],
  timeoutMs: 15_000,
});
export const getJob = defineRequest({
  subject: `${s}.get-job`,
  request: byJob,
  response: jobRecord,
  errors: ['job.not-found'],
});
export const listJobs = defineRequest({
  subject: `${s}.list-jobs`,
  request: pageQuery.extend({ metadata: z.record(z.string(), z.string()).nullable().optional() }),
  response: page(jobRecord),
});
export const cancelJob = defineRequest({
  subject: `${s}.cancel-job`,
  request: byJob,
  response: jobRecord,
  errors: ['job.not-found', 'job.not-cancellable'],
});
export const pauseJob = defineRequest({
  subject: `${s}.pause-job`,
  request: byJob,
  response: jobRecord,
  errors: ['job.not-found', 'job.not-pausable'],
});
export const resumeJob = defineRequest({
  subject: `${s}.resume-job`,
  request: byJob,
  response: jobRecord,
  errors: ['job.not-found', 'job.not-pausable'],
});
/** Most nodes that a run is kept away from; those left last count. */
export const AVOIDED_NODES_MAX = 256;
/**
 * Ends an attempt now; the next one goes on from the newest checkpoint. Asking again for an attempt that has ended, or is
 * being ended, changes nothing.
 */
export const restartJob = defineRequest({
  subject: `${s}.restart-job`,
  request: byJob.extend({
    /** The attempt meant; absent: the one there is. */
    attempt: z.int().positive().optional(),
    /** Keeps the run away from the nodes of that attempt; false: it is kept away from none. */
    avoidNode: z.boolean().default(true),
  }),
  response: jobRecord,
  errors: ['job.not-found', 'job.not-restartable'],
});
export const listJobEvents = defineRequest({
  subject: `${s}.list-job-events`,
  request: pageQuery.extend({ jobId: z.string() }),
  response: page(jobEvent),
  errors: ['job.not-found'],
});
export const listJobCheckpoints = defineRequest({
  subject: `${s}.list-job-checkpoints`,
  request: pageQuery.extend({ jobId: z.string() }),
  response: page(jobCheckpoint),
  errors: ['job.not-found'],
});
/** Points by rising step. `afterStep` pages. */
export const listJobMetrics = defineRequest({
  subject: `${s}.list-job-metrics`,
  request: z.object({
    jobId: z.string(),
    names: z.array(z.string()).max(20).optional(),
    afterStep: z.int().default(-1),
    limit: z.int().min(1).max(5000).default(1000),
  }),
  response: z.object({ points: z.array(metricPoint), hasMore: z.boolean() }),
  errors: ['job.not-found'],
});
export const readJobStream = defineRequest({
  subject: `${s}.read-job-stream`,
  request: z.object({ jobId: z.string(), after: z.int().nonnegative(), limit: z.int().min(1).max(500).default(200) }),
  response: z.object({ entries: z.array(streamEntry), ended: z.boolean() }),
  errors: ['job.not-found'],
});
/** How many users of a file one answer names. */
export const FILE_USERS_MAX = 20;
/** Unfinished jobs that read a file, or a dataset prepared from it; oldest first. */
export const listFileUsers = defineRequest({
  subject: `${s}.list-file-users`,
  request: z.object({
    fileId: z.string(),
    /** Equal content is prepared once: a dataset made from this file may serve a job that names another one. */
    datasetIds: z.array(z.string()).max(10_000).default([]),
  }),
  response: z.object({ jobIds: z.array(idOf('job')).max(FILE_USERS_MAX), hasMore: z.boolean() }),
  timeoutMs: 3_000,
});
/** Memory, time and steps for a job that is not submitted. */
export const planJob = defineRequest({
  subject: `${s}.plan-job`,
  request: jobRequest.omit({ jobId: true }),
  response: plan,
  errors: ['model.not-found', 'model.not-ready', 'file.not-found', 'file.wrong-rows', 'request.invalid'],
  timeoutMs: 15_000,
});

const ended = z.object({
  jobId: z.string(),
  status: z.enum(JOB_STATUSES),
  modelId: z.string().nullable(),
  code: errorCode.nullable(),
});
export const jobSucceeded = defineEvent({
  subject: 'luthier.v1.event.training.job.succeeded',
  schema: ended.extend({
    /** Why nothing is claimed of the model, in a sentence; null: its evaluation says what it is worth. */
    unprovenBecause: z.string().nullable().default(null),
  }),
  key: (e) => e.jobId,
});
export const jobFailed = defineEvent({
  subject: 'luthier.v1.event.training.job.failed',
  schema: ended,
  key: (e) => e.jobId,
});
export const jobCancelled = defineEvent({
  subject: 'luthier.v1.event.training.job.cancelled',
  schema: ended,
  key: (e) => e.jobId,
});
