import type { EventDefinition, JobRecord, StreamEntry } from '@luthier/contracts';
import type { jobCheckpoint, jobEvent, metricPoint } from '@luthier/contracts';
import type { z } from 'zod';
import type { Run } from '../runs/run.js';
import type { Job } from './job.js';

export type JobEvent = z.output<typeof jobEvent>;
export type JobCheckpoint = z.output<typeof jobCheckpoint>;
export type MetricPoint = z.output<typeof metricPoint>;

/** Which process set of a run wrote something. Later pairs win. */
export interface Incarnation {
  readonly attempt: number;
  readonly incarnation: number;
}

export interface StoredCheckpoint {
  readonly step: number;
  readonly uri: string;
  readonly sha256: string;
  readonly createdAt: string;
}

export interface NewEvent {
  level: 'info' | 'warn' | 'error';
  type: 'message' | 'metrics';
  message: string;
  data?: Record<string, unknown>;
}

/**
 * What may be changed while the job's row (and its run's) is locked; all of it is committed, or nothing. Live stream
 * entries get their numbers under that lock, so they have neither gaps nor doubles.
 */
export interface JobTransaction {
  readonly job: Job;
  /** The run that the job names, locked. */
  readonly run: Run | undefined;
  /** `tell: false` leaves the live stream out (progress between two tellings). */
  saveJob(job: Job, options?: { tell?: boolean }): Promise<void>;
  saveRun(run: Run): Promise<void>;
  event(event: NewEvent): Promise<void>;
  /** Stores what the cluster says of an attempt: once by its key, and of each attempt only so many as the contract allows. */
  clusterEvent(of: { runId: string; attempt: number }, key: string, event: NewEvent): Promise<void>;
  announce<Schema extends z.ZodType>(definition: EventDefinition<Schema>, payload: z.input<Schema>): Promise<void>;
  /** Serialises admissions over all replicas until the end of the transaction. */
  lockQueue(): Promise<void>;
  /** Jobs that wait in the queue before this one. */
  queuedAhead(): Promise<Job[]>;
  /** Runs that may occupy a place: live ones of all jobs. */
  liveRuns(): Promise<Run[]>;
  /** False when this pair has begun before. Deletes what smaller pairs wrote beyond `resumeStep`. */
  begin(runId: string, pair: Incarnation, resumeStep: number): Promise<boolean>;
  /** Stores points that are new; drops those of a pair that a larger one has overtaken. Returns the stored ones. */
  addPoints(runId: string, pair: Incarnation, points: readonly MetricPoint[]): Promise<MetricPoint[]>;
  addCheckpoint(runId: string, pair: Incarnation, checkpoint: StoredCheckpoint): Promise<boolean>;
  /** Step of the newest committed checkpoint of the run; null: none. */
  newestCheckpointStep(runId: string): Promise<number | null>;
}

export interface ListQuery {
  after?: string | undefined;
  limit: number;
  order: 'asc' | 'desc';
}

/** A job whose run is under way, and the figures of the run's newest step by the names of metrics. */
export interface RunningJob {
  readonly job: Job;
  readonly newest: Readonly<Record<string, number>>;
}

/** More runs than a cluster has places; what is beyond them is not told of one by one. */
export const RUNNING_MAX = 500;

/** Jobs, their runs, events, curves and live streams. Every method may throw what the database throws. */
export abstract class JobStore {
  /** Idempotent by id: returns what is stored. Adds `events` only when the job is new. */
  abstract create(job: Job, events: readonly NewEvent[]): Promise<Job>;
  abstract get(jobId: string): Promise<Job | undefined>;
  abstract list(
    query: ListQuery & { metadata?: Record<string, string> | null | undefined },
  ): Promise<{ items: JobRecord[]; hasMore: boolean }>;
  /** Ids of unfinished jobs, oldest first. */
  abstract unfinished(options: { afterSeq: number; limit: number }): Promise<{ id: string; seq: number }[]>;
  /** Unfinished jobs that name the file, or train or score on one of the datasets; oldest first. */
  abstract unfinishedUsing(query: {
    fileId: string;
    datasetIds: readonly string[];
    limit: number;
  }): Promise<{ jobIds: string[]; hasMore: boolean }>;
  abstract countByStatus(): Promise<{ status: string; count: number }[]>;
  /** When the oldest of the jobs was made that wait for a place; null: none waits. */
  abstract oldestWaiting(): Promise<string | null>;
  /** Jobs whose run is under way, the oldest first, at most `RUNNING_MAX`. */
  abstract running(): Promise<RunningJob[]>;
  /** Runs `change` under the job's lock. @throws AppError `job.not-found`. */
  abstract change<T>(jobId: string, change: (tx: JobTransaction) => Promise<T>): Promise<T>;
  abstract listEvents(jobId: string, query: ListQuery): Promise<{ items: JobEvent[]; hasMore: boolean }>;
  abstract listCheckpoints(jobId: string, query: ListQuery): Promise<{ items: JobCheckpoint[]; hasMore: boolean }>;
  abstract listPoints(
    runId: string,
    query: { names: readonly string[] | undefined; afterStep: number; limit: number },
  ): Promise<{ points: MetricPoint[]; hasMore: boolean }>;
  abstract readStream(jobId: string, after: number, limit: number): Promise<StreamEntry[]>;
}
