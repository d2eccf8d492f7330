import { AppError, evaluationCompleted, evaluationFailed } from '@luthier/contracts';
import type { EvaluationRecord, Page } from '@luthier/contracts';
import { enqueue, handledOnce } from '@luthier/messaging';
import { DATABASE } from '@luthier/service-kit';
import type { Database } from '@luthier/service-kit';
import { Inject, Injectable } from '@nestjs/common';
import { and, asc, desc, eq, inArray, sql } from 'drizzle-orm';
import { answers, evaluations, inbox, outbox } from '../db/schema.js';
import { EvaluationStore } from './evaluation.store.js';
import type { EvaluationRequest, StoredAnswer, StoredEvaluation } from './evaluation.store.js';

const UNFINISHED: EvaluationRecord['state'][] = ['queued', 'running'];

@Injectable()
export class EvaluationStorePg extends EvaluationStore {
  constructor(@Inject(DATABASE) private readonly db: Database) {
    super();
  }

  async createOnce(request: EvaluationRequest, record: EvaluationRecord): Promise<EvaluationRecord> {
    await this.db
      .insert(evaluations)
      .values({ id: record.id, jobId: record.jobId, modelId: record.modelId, state: record.state, request, record })
      .onConflictDoNothing({ target: evaluations.jobId });
    const kept = await this.find({ jobId: record.jobId });
    if (!kept) throw new AppError('internal');
    return kept;
  }

  async find(by: {
    evaluationId?: string | undefined;
    jobId?: string | undefined;
  }): Promise<EvaluationRecord | undefined> {
    const where =
      by.evaluationId !== undefined ? eq(evaluations.id, by.evaluationId) : eq(evaluations.jobId, by.jobId ?? '');
    const [row] = await this.db.select({ record: evaluations.record }).from(evaluations).where(where).limit(1);
    return row?.record;
  }

  async list(page: {
    after?: string | undefined;
    limit: number;
    order: 'asc' | 'desc';
  }): Promise<Page<EvaluationRecord>> {
    const direction = page.order === 'asc' ? asc : desc;
    // Compared inside the database: a timestamp loses its microseconds on the way through JavaScript.
    const beyond =
      page.after === undefined
        ? undefined
        : sql`(${evaluations.createdAt}, ${evaluations.id}) ${sql.raw(page.order === 'asc' ? '>' : '<')}
              (select e.created_at, e.id from evaluation.evaluations e where e.id = ${page.after})`;
    const rows = await this.db
      .select({ record: sql<EvaluationRecord>`${evaluations.record} || '{"samples": []}'::jsonb` })
      .from(evaluations)
      .where(beyond)
      .orderBy(direction(evaluations.createdAt), direction(evaluations.id))
      .limit(page.limit + 1);
    return { items: rows.slice(0, page.limit).map(({ record }) => record), hasMore: rows.length > page.limit };
  }

  async nextUnfinished(): Promise<StoredEvaluation | undefined> {
    const [row] = await this.db
      .select({ request: evaluations.request, record: evaluations.record })
      .from(evaluations)
      .where(inArray(evaluations.state, UNFINISHED))
      .orderBy(asc(evaluations.createdAt))
      .limit(1);
    return row;
  }

  async answers(evaluationId: string): Promise<StoredAnswer[]> {
    const { fileId, line, side, answer, refusal } = answers;
    return this.db
      .select({ fileId, line, side, answer, refusal })
      .from(answers)
      .where(eq(answers.evaluationId, evaluationId));
  }

  async addAnswers(record: EvaluationRecord, given: readonly StoredAnswer[]): Promise<boolean> {
    return this.db.transaction(async (tx) => {
      const open = await tx
        .update(evaluations)
        .set({ record, state: record.state })
        .where(and(eq(evaluations.id, record.id), inArray(evaluations.state, UNFINISHED)))
        .returning({ id: evaluations.id });
      if (open.length === 0) return false;
      if (given.length > 0)
        await tx
          .insert(answers)
          .values(given.map((answer) => ({ evaluationId: record.id, ...answer })))
          .onConflictDoNothing();
      return true;
    });
  }

  async finish(record: EvaluationRecord): Promise<boolean> {
    const { id: evaluationId, jobId, modelId, verdict } = record;
    return this.db.transaction(async (tx) => {
      const ended = await tx
        .update(evaluations)
        .set({ record, state: record.state })
        .where(and(eq(evaluations.id, evaluationId), inArray(evaluations.state, UNFINISHED)))
        .returning({ id: evaluations.id });
      if (ended.length === 0) return false;
      if (record.state === 'completed') {
        await enqueue(tx, outbox, evaluationCompleted, {
          evaluationId,
          jobId,
          modelId,
          verdict,
          verdictReason: record.verdictReason ?? '',
        });
      } else {
        const error = record.error ?? new AppError('internal');
        await enqueue(tx, outbox, evaluationFailed, {
          evaluationId,
          jobId,
          modelId,
          code: error.code,
          message: error.message,
        });
      }
      return true;
    });
  }

  async deleteOfModel(modelId: string, eventId: string): Promise<void> {
    await this.db.transaction((tx) =>
      handledOnce(tx, inbox, 'evaluation', eventId, async () => {
        await tx.delete(evaluations).where(eq(evaluations.modelId, modelId));
      }),
    );
  }
}
