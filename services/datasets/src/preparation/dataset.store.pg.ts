import { Inject, Injectable } from '@nestjs/common';
import { and, asc, desc, eq, sql } from 'drizzle-orm';
import { AppError, datasetPrepared, datasetRefused, newId } from '@luthier/contracts';
import type { DatasetRecord, Page } from '@luthier/contracts';
import { enqueue } from '@luthier/messaging';
import { DATABASE } from '@luthier/service-kit';
import type { Database } from '@luthier/service-kit';
import { datasets, outbox } from '../db/schema.js';
import type { tables } from '../db/schema.js';
import { DatasetStore } from './dataset.store.js';
import type { Unprepared } from './dataset.store.js';
import type { PreparationOrder } from './preparation-order.js';
import type { PreparedFields } from './prepare-dataset.js';

type Row = typeof datasets.$inferSelect;
const toRecord = ({ cacheKey: _key, preparation: _preparation, createdAt, ...row }: Row): DatasetRecord => ({
  ...row,
  createdAt: createdAt.toISOString(),
});

@Injectable()
export class PgDatasetStore extends DatasetStore {
  constructor(@Inject(DATABASE) private readonly database: Database<typeof tables>) {
    super();
  }

  override async open(cacheKey: string, role: DatasetRecord['role'], order: PreparationOrder): Promise<DatasetRecord> {
    const same = and(eq(datasets.cacheKey, cacheKey), eq(datasets.role, role));
    await this.database
      .insert(datasets)
      .values({
        id: newId('dataset'),
        cacheKey,
        role,
        state: 'preparing',
        kind: order.kind,
        preparation: order,
        sources: [],
        cutoffLength: order.cutoffLength,
      })
      .onConflictDoNothing();
    await this.database
      .update(datasets)
      .set({ state: 'preparing', error: null, preparation: order })
      .where(and(same, eq(datasets.state, 'failed')));
    const [row] = await this.database.select().from(datasets).where(same);
    if (!row) throw new AppError('dataset.not-found', 'The dataset was deleted while it was asked for');
    return toRecord(row);
  }

  override async find(datasetId: string): Promise<DatasetRecord | undefined> {
    const [row] = await this.database.select().from(datasets).where(eq(datasets.id, datasetId));
    return row && toRecord(row);
  }

  override async list({ after, limit, order }: Parameters<DatasetStore['list']>[0]): Promise<Page<DatasetRecord>> {
    const beyond =
      after === undefined
        ? undefined
        : sql`(${datasets.createdAt}, ${datasets.id}) ${sql.raw(order === 'desc' ? '<' : '>')}
              (select d.created_at, d.id from datasets.datasets d where d.id = ${after})`;
    const direction = order === 'desc' ? desc : asc;
    const rows = await this.database
      .select()
      .from(datasets)
      .where(beyond)
      .orderBy(direction(datasets.createdAt), direction(datasets.id))
      .limit(limit + 1);
    return { items: rows.slice(0, limit).map(toRecord), hasMore: rows.length > limit };
  }

  override async unprepared(): Promise<Unprepared[]> {
    return this.database
      .select({ id: datasets.id, order: datasets.preparation })
      .from(datasets)
      .where(eq(datasets.state, 'preparing'))
      .orderBy(asc(datasets.createdAt))
      .limit(10_000);
  }

  override async complete(datasetId: string, fields: PreparedFields): Promise<void> {
    await this.database.transaction(async (tx) => {
      const changed = await tx
        .update(datasets)
        .set({ ...fields, state: 'ready', error: null })
        .where(and(eq(datasets.id, datasetId), eq(datasets.state, 'preparing')))
        .returning({ id: datasets.id });
      if (changed.length > 0) await enqueue(tx, outbox, datasetPrepared, { datasetId });
    });
  }

  override async refuse(datasetId: string, error: NonNullable<DatasetRecord['error']>): Promise<void> {
    await this.database.transaction(async (tx) => {
      const changed = await tx
        .update(datasets)
        .set({ state: 'failed', error })
        .where(and(eq(datasets.id, datasetId), eq(datasets.state, 'preparing')))
        .returning({ id: datasets.id });
      if (changed.length > 0) await enqueue(tx, outbox, datasetRefused, { datasetId });
    });
  }

  override async preparedFrom(fileId: string): Promise<Pick<DatasetRecord, 'id' | 'state'>[]> {
    const needle = JSON.stringify([{ fileId }]);
    return this.database
      .select({ id: datasets.id, state: datasets.state })
      .from(datasets)
      .where(
        sql`${datasets.preparation}->'files' @> ${needle}::jsonb or ${datasets.preparation}->'mix'->'file'->>'fileId' = ${fileId}`,
      )
      .limit(10_000);
  }

  override async remove(datasetId: string): Promise<void> {
    await this.database.delete(datasets).where(eq(datasets.id, datasetId));
  }
}
