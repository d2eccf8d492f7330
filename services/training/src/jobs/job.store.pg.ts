import { Inject, Injectable } from '@nestjs/common';
import { and, asc, desc, eq, gt, inArray, lt, min, or, sql } from 'drizzle-orm';
import { AppError } from '@luthier/contracts';
import type { JobRecord, StreamEntry } from '@luthier/contracts';
import { MessageBus } from '@luthier/messaging';
import { DATABASE, Tracing } from '@luthier/service-kit';
import type { Database } from '@luthier/service-kit';
import { checkpoints, jobEvents, jobStream, jobs, metricPoints } from '../db/schema.js';
import type { tables } from '../db/schema.js';
import { toRecord } from './job-record.js';
import { PgJobTransaction } from './job-transaction.pg.js';
import { JobStore, RUNNING_MAX } from './job.store.js';
import type {
  JobCheckpoint,
  JobEvent,
  JobTransaction,
  ListQuery,
  MetricPoint,
  NewEvent,
  RunningJob,
} from './job.store.js';
import { RUN_PHASES, rankOf } from './job.js';
import type { Job } from './job.js';

const UNFINISHED = ['validating_files', 'queued', 'running', 'paused'];

@Injectable()
export class PgJobStore extends JobStore {
  constructor(
    @Inject(DATABASE) private readonly database: Database<typeof tables>,
    private readonly bus: MessageBus,
    private readonly tracing: Tracing,
  ) {
    super();
  }

  override async create(job: Job, events: readonly NewEvent[]): Promise<Job> {
    await this.database.transaction(async (tx) => {
      const { id, status, phase } = job;
      const inserted = await tx
        .insert(jobs)
        .values({
          ...{ id, status, phase, priority: rankOf(job) },
          ...{ metadata: job.request.metadata, data: job, createdAt: job.createdAt },
        })
        .onConflictDoNothing()
        .returning({ id: jobs.id });
      if (inserted.length === 0) return;
      const opened = await PgJobTransaction.open(tx, id);
      await opened?.saveJob(job);
      for (const event of events) await opened?.event(event);
    });
    this.bus.pokeJob(job.id);
    return (await this.get(job.id)) ?? job;
  }

  override async get(jobId: string): Promise<Job | undefined> {
    const [row] = await this.database.select({ data: jobs.data }).from(jobs).where(eq(jobs.id, jobId));
    return row?.data;
  }

  override async list(
    query: ListQuery & { metadata?: Record<string, string> | null | undefined },
  ): Promise<{ items: JobRecord[]; hasMore: boolean }> {
    const after = query.after === undefined ? undefined : await this.seqOf(query.after);
    const filter = query.metadata;
    const rows = await this.database
      .select({ data: jobs.data })
      .from(jobs)
      .where(
        and(
          beyond(jobs.seq, after, query.order),
          filter ? sql`${jobs.metadata} @> ${JSON.stringify(filter)}::jsonb` : undefined,
          filter === null ? sql`${jobs.metadata} = '{}'::jsonb` : undefined,
        ),
      )
      .orderBy(query.order === 'asc' ? asc(jobs.seq) : desc(jobs.seq))
      .limit(query.limit + 1);
    return pageOf(
      rows.map(({ data }) => toRecord(data)),
      query.limit,
    );
  }

  private async seqOf(jobId: string): Promise<number> {
    const [row] = await this.database.select({ seq: jobs.seq }).from(jobs).where(eq(jobs.id, jobId));
    if (!row) throw new AppError('job.not-found', `There is no job "${jobId}" to list after`, { param: 'after' });
    return row.seq;
  }

  override async unfinished(options: { afterSeq: number; limit: number }): Promise<{ id: string; seq: number }[]> {
    return this.database
      .select({ id: jobs.id, seq: jobs.seq })
      .from(jobs)
      .where(and(inArray(jobs.status, UNFINISHED), gt(jobs.seq, options.afterSeq)))
      .orderBy(asc(jobs.seq))
      .limit(options.limit);
  }

  /** The index by status leaves only unfinished jobs to look into, and those are few. */
  override async unfinishedUsing({
    fileId,
    datasetIds,
    limit,
  }: Parameters<JobStore['unfinishedUsing']>[0]): ReturnType<JobStore['unfinishedUsing']> {
    const request = sql`${jobs.data}->'request'`;
    const files = sql`(${request}->>'trainingFile', ${request}->>'validationFile', ${request}->>'generalFile', ${request}->'mix'->>'fileId')`;
    const datasets = sql`array[${jobs.data}->>'trainDatasetId', ${jobs.data}->>'heldOutDatasetId']`;
    const ids = sql`array(select jsonb_array_elements_text(${JSON.stringify(datasetIds)}::jsonb))`;
    const rows = await this.database
      .select({ id: jobs.id })
      .from(jobs)
      .where(and(inArray(jobs.status, UNFINISHED), sql`(${fileId} in ${files} or ${datasets} && ${ids})`))
      .orderBy(asc(jobs.seq))
      .limit(limit + 1);
    const { items, hasMore } = pageOf(
      rows.map(({ id }) => id),
      limit,
    );
    return { jobIds: items, hasMore };
  }

  override async countByStatus(): Promise<{ status: string; count: number }[]> {
    return this.database
      .select({ status: jobs.status, count: sql<number>`count(*)::int` })
      .from(jobs)
      .groupBy(jobs.status);
  }

  override async oldestWaiting(): Promise<string | null> {
    const [row] = await this.database
      .select({ oldest: min(jobs.createdAt) })
      .from(jobs)
      .where(and(inArray(jobs.status, ['queued', 'running']), inArray(jobs.phase, ['queued', 'scheduling'])));
    return row?.oldest ?? null;
  }

  override async running(): Promise<RunningJob[]> {
    const found = await this.database
      .select({ data: jobs.data })
      .from(jobs)
      .where(and(eq(jobs.status, 'running'), inArray(jobs.phase, RUN_PHASES)))
      .orderBy(asc(jobs.seq))
      .limit(RUNNING_MAX);
    const steps = found.flatMap(({ data: { runId, progress } }) =>
      runId !== null && progress ? [and(eq(metricPoints.runId, runId), eq(metricPoints.step, progress.step))] : [],
    );
    const points =
      steps.length === 0
        ? []
        : await this.database
            .select()
            .from(metricPoints)
            .where(or(...steps));
    const newestOf = Map.groupBy(points, ({ runId }) => runId);
    return found.map(({ data: job }) => ({
      job,
      newest: Object.fromEntries((newestOf.get(job.runId ?? '') ?? []).map(({ name, value }) => [name, value])),
    }));
  }

  override async change<T>(jobId: string, change: (tx: JobTransaction) => Promise<T>): Promise<T> {
    const { value, told, spans } = await this.database.transaction(async (tx) => {
      const opened = await PgJobTransaction.open(tx, jobId);
      if (!opened) throw new AppError('job.not-found', `There is no job "${jobId}"`);
      return { value: await change(opened), told: opened.told, spans: opened.spans };
    });
    if (told) this.bus.pokeJob(jobId);
    for (const span of spans) this.tracing.record(span);
    return value;
  }

  override async listEvents(jobId: string, query: ListQuery): Promise<{ items: JobEvent[]; hasMore: boolean }> {
    const [cursor] =
      query.after === undefined
        ? []
        : await this.database.select({ seq: jobEvents.seq }).from(jobEvents).where(eq(jobEvents.id, query.after));
    const rows = await this.database
      .select()
      .from(jobEvents)
      .where(and(eq(jobEvents.jobId, jobId), beyond(jobEvents.seq, cursor?.seq, query.order)))
      .orderBy(query.order === 'asc' ? asc(jobEvents.seq) : desc(jobEvents.seq))
      .limit(query.limit + 1);
    return pageOf(
      rows.map((row) => ({
        id: row.id,
        createdAt: new Date(row.createdAt).toISOString(),
        level: row.level as JobEvent['level'],
        type: row.type as JobEvent['type'],
        message: row.message,
        data: row.data,
      })),
      query.limit,
    );
  }

  override async listCheckpoints(
    jobId: string,
    query: ListQuery,
  ): Promise<{ items: JobCheckpoint[]; hasMore: boolean }> {
    const { createdAt, seq, id } = checkpoints;
    const [cursor] =
      query.after === undefined
        ? []
        : await this.database.select({ createdAt, seq }).from(checkpoints).where(eq(id, query.after));
    const sorted = query.order === 'asc' ? asc : desc;
    // By when they were stored: an outcome tells of the last one before the run stream has told of those before it.
    const rows = await this.database
      .select()
      .from(checkpoints)
      .where(and(eq(checkpoints.jobId, jobId), cursor && storedBeyond(cursor, query.order)))
      .orderBy(sorted(createdAt), sorted(seq))
      .limit(query.limit + 1);
    return pageOf(
      rows.map((row) => ({
        id: row.id,
        createdAt: new Date(row.createdAt).toISOString(),
        jobId: row.jobId,
        step: row.step,
        uri: row.uri,
        metrics: row.metrics,
      })),
      query.limit,
    );
  }

  /** A page ends between two steps, never inside one: `afterStep` can go on without a loss. */
  override async listPoints(
    runId: string,
    query: { names: readonly string[] | undefined; afterStep: number; limit: number },
  ): Promise<{ points: MetricPoint[]; hasMore: boolean }> {
    const points = await this.database
      .select({ step: metricPoints.step, name: metricPoints.name, value: metricPoints.value })
      .from(metricPoints)
      .where(
        and(
          eq(metricPoints.runId, runId),
          gt(metricPoints.step, query.afterStep),
          query.names ? inArray(metricPoints.name, [...query.names]) : undefined,
        ),
      )
      .orderBy(asc(metricPoints.step), asc(metricPoints.name))
      .limit(query.limit + 1);
    if (points.length <= query.limit) return { points, hasMore: false };
    const cut = points.at(-1)?.step;
    const whole = points.filter(({ step }) => step !== cut);
    return { points: whole.length > 0 ? whole : points.slice(0, query.limit), hasMore: true };
  }

  override async readStream(jobId: string, after: number, limit: number): Promise<StreamEntry[]> {
    const rows = await this.database
      .select({ id: jobStream.id, type: jobStream.type, data: jobStream.data })
      .from(jobStream)
      .where(and(eq(jobStream.jobId, jobId), gt(jobStream.id, after)))
      .orderBy(asc(jobStream.id))
      .limit(limit);
    return rows.map((row) => ({ ...row, type: row.type as StreamEntry['type'] }));
  }
}

const beyond = (column: typeof jobs.seq | typeof jobEvents.seq, seq: number | undefined, order: 'asc' | 'desc') =>
  seq === undefined ? undefined : order === 'asc' ? gt(column, seq) : lt(column, seq);

function storedBeyond({ createdAt, seq }: { createdAt: string; seq: number }, order: 'asc' | 'desc') {
  const past = order === 'asc' ? gt : lt;
  const sameTime = and(eq(checkpoints.createdAt, createdAt), past(checkpoints.seq, seq));
  return or(past(checkpoints.createdAt, createdAt), sameTime);
}

const pageOf = <T>(items: T[], limit: number): { items: T[]; hasMore: boolean } => ({
  items: items.slice(0, limit),
  hasMore: items.length > limit,
});
