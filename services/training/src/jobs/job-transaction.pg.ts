import { and, asc, count, desc, eq, gt, lt, ne, or, sql } from 'drizzle-orm';
import type { z } from 'zod';
import { CLUSTER_EVENTS_PER_ATTEMPT, idFor, newId } from '@luthier/contracts';
import type { EventDefinition, StreamEntry } from '@luthier/contracts';
import { enqueue } from '@luthier/messaging';
import type { Executor } from '@luthier/messaging';
import type { PastSpan } from '@luthier/service-kit';
import { checkpoints, incarnations, jobEvents, jobStream, jobs, metricPoints, outbox, runs } from '../db/schema.js';
import type { Run } from '../runs/run.js';
import { isFinished, rankOf } from './job.js';
import type { Job } from './job.js';
import { toRecord } from './job-record.js';
import { endedBetween, enteringPhase } from './job-trace.js';
import type { Incarnation, JobTransaction, MetricPoint, NewEvent, StoredCheckpoint } from './job.store.js';

/** Any fixed number: whoever admits takes the same lock. */
const QUEUE_LOCK = 7_348_512_101;
const METRICS_OF_CHECKPOINT = ['loss', 'evaluationLoss', 'evaluationTokenAccuracy'];

export class PgJobTransaction implements JobTransaction {
  private constructor(
    private readonly tx: Executor,
    private current: Job,
    private currentRun: Run | undefined,
    private readonly seq: number,
    private readonly priority: number,
  ) {
    this.complete = isFinished(current);
  }

  /** The job had ended before: its live stream gets nothing more. */
  private readonly complete: boolean;

  /** The live stream got new entries. */
  told = false;

  /** Phases and attempts that it has ended, those that it began itself included. */
  readonly spans: PastSpan[] = [];

  /** Locks the job's row, then its run's: always in this order. */
  static async open(tx: Executor, jobId: string): Promise<PgJobTransaction | undefined> {
    const [row] = await tx
      .select({ data: jobs.data, seq: jobs.seq, priority: jobs.priority })
      .from(jobs)
      .where(eq(jobs.id, jobId))
      .for('update');
    if (!row) return undefined;
    const [run] =
      row.data.runId === null ? [] : await tx.select().from(runs).where(eq(runs.id, row.data.runId)).for('update');
    return new PgJobTransaction(tx, row.data, run, row.seq, row.priority);
  }

  get job(): Job {
    return this.current;
  }

  get run(): Run | undefined {
    return this.currentRun;
  }

  async saveJob(job: Job, options: { tell?: boolean } = {}): Promise<void> {
    const now = new Date().toISOString();
    const data = enteringPhase(this.current, job, now);
    this.spans.push(...endedBetween(this.current, data, now));
    this.current = data;
    const { status, phase } = job;
    await this.tx
      .update(jobs)
      .set({ status, phase, priority: rankOf(job), data })
      .where(eq(jobs.id, job.id));
    if (options.tell !== false) await this.tell('job', toRecord(job));
  }

  async saveRun(run: Run): Promise<void> {
    this.currentRun = run;
    await this.tx.insert(runs).values(run).onConflictDoUpdate({ target: runs.id, set: run });
  }

  async event(event: NewEvent): Promise<void> {
    await this.insertEvent(newId('jobEvent'), event);
  }

  async clusterEvent(
    { runId, attempt }: { runId: string; attempt: number },
    key: string,
    event: NewEvent,
  ): Promise<void> {
    const ofAttempt = JSON.stringify({ source: 'kubernetes', run_id: runId, attempt });
    const told = and(eq(jobEvents.jobId, this.current.id), sql`${jobEvents.data} @> ${ofAttempt}::jsonb`);
    const [row] = await this.tx.select({ count: count() }).from(jobEvents).where(told);
    if (row && row.count >= CLUSTER_EVENTS_PER_ATTEMPT) return;
    await this.insertEvent(idFor('jobEvent', `${runId}:${attempt}:${key}`), event);
  }

  private async insertEvent(id: string, { level, type, message, data }: NewEvent): Promise<void> {
    const event = { id, createdAt: new Date().toISOString(), level, type, message, data: data ?? null };
    const inserted = await this.tx
      .insert(jobEvents)
      .values({ ...event, jobId: this.current.id })
      .onConflictDoNothing()
      .returning({ id: jobEvents.id });
    if (inserted.length > 0) await this.tell('event', event);
  }

  async announce<Schema extends z.ZodType>(
    definition: EventDefinition<Schema>,
    payload: z.input<Schema>,
  ): Promise<void> {
    await enqueue(this.tx, outbox, definition, payload);
  }

  async lockQueue(): Promise<void> {
    await this.tx.execute(sql`select pg_advisory_xact_lock(${QUEUE_LOCK})`);
  }

  async queuedAhead(): Promise<Job[]> {
    const rows = await this.tx
      .select({ data: jobs.data })
      .from(jobs)
      .where(
        and(
          eq(jobs.status, 'queued'),
          ne(jobs.id, this.current.id),
          or(gt(jobs.priority, this.priority), and(eq(jobs.priority, this.priority), lt(jobs.seq, this.seq))),
        ),
      )
      .orderBy(desc(jobs.priority), asc(jobs.seq))
      .limit(500);
    return rows.map(({ data }) => data);
  }

  async liveRuns(): Promise<Run[]> {
    return this.tx.select().from(runs).where(eq(runs.live, true)).limit(1000);
  }

  async begin(runId: string, { attempt, incarnation }: Incarnation, resumeStep: number): Promise<boolean> {
    const inserted = await this.tx
      .insert(incarnations)
      .values({ runId, attempt, incarnation, resumeStep })
      .onConflictDoNothing()
      .returning({ runId: incarnations.runId });
    if (inserted.length === 0) return false;
    await this.tx
      .delete(metricPoints)
      .where(
        and(
          eq(metricPoints.runId, runId),
          gt(metricPoints.step, resumeStep),
          sql`(${metricPoints.attempt}, ${metricPoints.incarnation}) < (${attempt}, ${incarnation})`,
        ),
      );
    return true;
  }

  async addPoints(
    runId: string,
    { attempt, incarnation }: Incarnation,
    points: readonly MetricPoint[],
  ): Promise<MetricPoint[]> {
    const [overtaken] = await this.tx
      .select({ step: sql<number | null>`min(${incarnations.resumeStep})` })
      .from(incarnations)
      .where(
        and(
          eq(incarnations.runId, runId),
          sql`(${incarnations.attempt}, ${incarnations.incarnation}) > (${attempt}, ${incarnation})`,
        ),
      );
    const last = overtaken?.step ?? Number.POSITIVE_INFINITY;
    const rows = points
      .filter(({ step, value }) => step <= last && Number.isFinite(value))
      .map((point) => ({ runId, ...point, attempt, incarnation }));
    const stored: MetricPoint[] = [];
    for (let at = 0; at < rows.length; at += 1000) {
      const batch = await this.tx
        .insert(metricPoints)
        .values(rows.slice(at, at + 1000))
        .onConflictDoUpdate({
          target: [metricPoints.runId, metricPoints.step, metricPoints.name],
          set: {
            value: sql`excluded.value`,
            attempt: sql`excluded.attempt`,
            incarnation: sql`excluded.incarnation`,
          },
          setWhere: sql`(excluded.attempt, excluded.incarnation) > (${metricPoints.attempt}, ${metricPoints.incarnation})`,
        })
        .returning({ step: metricPoints.step, name: metricPoints.name, value: metricPoints.value });
      stored.push(...batch);
    }
    if (stored.length > 0) await this.tellPoints(stored);
    return stored;
  }

  async addCheckpoint(runId: string, pair: Incarnation, checkpoint: StoredCheckpoint): Promise<boolean> {
    const { step, uri, sha256, createdAt } = checkpoint;
    const points = await this.tx
      .select({ name: metricPoints.name, value: metricPoints.value })
      .from(metricPoints)
      .where(and(eq(metricPoints.runId, runId), eq(metricPoints.step, step)));
    const metrics = Object.fromEntries(
      points.filter(({ name }) => METRICS_OF_CHECKPOINT.includes(name)).map(({ name, value }) => [name, value]),
    );
    const row = { id: newId('checkpoint'), jobId: this.current.id, step, uri, metrics, createdAt };
    const inserted = await this.tx
      .insert(checkpoints)
      .values({ ...row, runId, sha256, attempt: pair.attempt, incarnation: pair.incarnation })
      .onConflictDoNothing()
      .returning({ id: checkpoints.id });
    if (inserted.length > 0) await this.tell('checkpoint', row);
    return inserted.length > 0;
  }

  async newestCheckpointStep(runId: string): Promise<number | null> {
    const [row] = await this.tx
      .select({ step: sql<number | null>`max(${checkpoints.step})` })
      .from(checkpoints)
      .where(eq(checkpoints.runId, runId));
    return row?.step ?? null;
  }

  /** A large fill is told in pieces, so that no entry is larger than what travels in one answer. */
  private async tellPoints(points: MetricPoint[]): Promise<void> {
    for (let at = 0; at < points.length; at += 500) await this.tell('metrics', { points: points.slice(at, at + 500) });
  }

  private async tell(type: StreamEntry['type'], data: Record<string, unknown>): Promise<void> {
    if (this.complete) return;
    const [row] = await this.tx
      .update(jobs)
      .set({ streamSeq: sql`${jobs.streamSeq} + 1` })
      .where(eq(jobs.id, this.current.id))
      .returning({ id: jobs.streamSeq });
    if (!row) return;
    await this.tx.insert(jobStream).values({ jobId: this.current.id, id: row.id, type, data });
    this.told = true;
  }
}
