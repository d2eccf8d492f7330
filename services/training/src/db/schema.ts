import {
  bigserial,
  boolean,
  doublePrecision,
  index,
  integer,
  jsonb,
  pgSchema,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
} from 'drizzle-orm/pg-core';
import type { RunOutcome, RunResources, RunStatus, StopReason } from '@luthier/contracts';
import { inboxTable, outboxTable } from '@luthier/messaging';
import type { Job } from '../jobs/job.js';

export const training = pgSchema('training');
export const outbox = outboxTable(training);
export const inbox = inboxTable(training);

const at = (name: string) => timestamp(name, { withTimezone: true, mode: 'string' });

/** `data` is the aggregate; the columns beside it are what is searched by. */
export const jobs = training.table(
  'jobs',
  {
    id: text('id').primaryKey(),
    seq: bigserial('seq', { mode: 'number' }).notNull(),
    status: text('status').notNull(),
    phase: text('phase').notNull(),
    priority: integer('priority').notNull().default(0),
    metadata: jsonb('metadata').$type<Record<string, string>>().notNull(),
    /** Number of the newest entry of the live stream. */
    streamSeq: integer('stream_seq').notNull().default(0),
    data: jsonb('data').$type<Job>().notNull(),
    createdAt: at('created_at').notNull().defaultNow(),
  },
  (table) => [uniqueIndex('jobs_seq').on(table.seq), index('jobs_status').on(table.status, table.seq)],
);

export const jobEvents = training.table(
  'job_events',
  {
    id: text('id').primaryKey(),
    seq: bigserial('seq', { mode: 'number' }).notNull(),
    jobId: text('job_id').notNull(),
    createdAt: at('created_at').notNull(),
    level: text('level').notNull(),
    type: text('type').notNull(),
    message: text('message').notNull(),
    data: jsonb('data').$type<Record<string, unknown>>(),
  },
  (table) => [index('job_events_job').on(table.jobId, table.seq)],
);

export const jobStream = training.table(
  'job_stream',
  {
    jobId: text('job_id').notNull(),
    id: integer('id').notNull(),
    type: text('type').notNull(),
    data: jsonb('data').$type<Record<string, unknown>>().notNull(),
  },
  (table) => [primaryKey({ columns: [table.jobId, table.id] })],
);

export const checkpoints = training.table(
  'checkpoints',
  {
    id: text('id').primaryKey(),
    seq: bigserial('seq', { mode: 'number' }).notNull(),
    jobId: text('job_id').notNull(),
    runId: text('run_id').notNull(),
    attempt: integer('attempt').notNull(),
    incarnation: integer('incarnation').notNull(),
    step: integer('step').notNull(),
    uri: text('uri').notNull(),
    sha256: text('sha256').notNull(),
    metrics: jsonb('metrics').$type<Record<string, number>>().notNull(),
    createdAt: at('created_at').notNull(),
  },
  (table) => [uniqueIndex('checkpoints_uri').on(table.uri), index('checkpoints_job').on(table.jobId, table.seq)],
);

/** What should be and what was last seen of each run; `<runId>.spec` is made from it. */
export const runs = training.table(
  'runs',
  {
    id: text('id').primaryKey(),
    jobId: text('job_id').notNull(),
    attempt: integer('attempt').notNull(),
    generation: integer('generation').notNull(),
    /** Generation that was last written into the bucket; 0: the trainer cannot know of the run. */
    projectedGeneration: integer('projected_generation').notNull().default(0),
    desired: text('desired').$type<'running' | 'stopped'>().notNull(),
    stopReason: text('stop_reason').$type<StopReason>(),
    stopGraceSeconds: integer('stop_grace_seconds').notNull(),
    checkpointRequest: integer('checkpoint_request').notNull().default(0),
    requestUri: text('request_uri').notNull(),
    requestSha256: text('request_sha256').notNull(),
    resources: jsonb('resources').$type<RunResources>().notNull(),
    runtime: text('runtime').notNull(),
    profile: text('profile').notNull(),
    queueName: text('queue_name'),
    priority: integer('priority').notNull(),
    deadlineSeconds: integer('deadline_seconds').notNull(),
    avoidNodes: jsonb('avoid_nodes').$type<string[]>().notNull().default([]),
    seenAttempt: integer('seen_attempt'),
    seenObjectUid: text('seen_object_uid'),
    /** The newest status of the current attempt. */
    status: jsonb('status').$type<RunStatus>(),
    outcome: jsonb('outcome').$type<RunOutcome>(),
    /** The current attempt may occupy a device: it was asked to run and no end of it is stored. */
    live: boolean('live').notNull(),
    closed: boolean('closed').notNull().default(false),
    finishedAt: at('finished_at'),
    purgedAt: at('purged_at'),
    /** Infrastructure retries since the last newly committed checkpoint. */
    retries: integer('retries').notNull().default(0),
    interruptions: integer('interruptions').notNull().default(0),
    crashes: integer('crashes').notNull().default(0),
    /** Newest committed step when the last attempt was made. */
    stepAtRetry: integer('step_at_retry').notNull().default(-1),
    firstStepAt: at('first_step_at'),
  },
  (table) => [index('runs_open').on(table.purgedAt, table.closed), index('runs_job').on(table.jobId)],
);

/** Where each process set of a run began: smaller pairs may not write beyond that step. */
export const incarnations = training.table(
  'incarnations',
  {
    runId: text('run_id').notNull(),
    attempt: integer('attempt').notNull(),
    incarnation: integer('incarnation').notNull(),
    resumeStep: integer('resume_step').notNull(),
  },
  (table) => [primaryKey({ columns: [table.runId, table.attempt, table.incarnation] })],
);

export const metricPoints = training.table(
  'metric_points',
  {
    runId: text('run_id').notNull(),
    step: integer('step').notNull(),
    name: text('name').notNull(),
    value: doublePrecision('value').notNull(),
    attempt: integer('attempt').notNull(),
    incarnation: integer('incarnation').notNull(),
  },
  (table) => [primaryKey({ columns: [table.runId, table.step, table.name] })],
);

export const tables = {
  outbox,
  inbox,
  jobs,
  jobEvents,
  jobStream,
  checkpoints,
  runs,
  incarnations,
  metricPoints,
};
