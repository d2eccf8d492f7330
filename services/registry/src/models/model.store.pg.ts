import { Inject, Injectable } from '@nestjs/common';
import { and, asc, desc, eq, isNull, or, sql } from 'drizzle-orm';
import type { ModelRecord, Page } from '@luthier/contracts';
import { enqueue, handledOnce } from '@luthier/messaging';
import type { Executor } from '@luthier/messaging';
import { DATABASE } from '@luthier/service-kit';
import type { Database } from '@luthier/service-kit';
import { inbox, models, outbox } from '../db/schema.js';
import type { tables } from '../db/schema.js';
import { ModelStore } from './model.store.js';
import type { Announcement, NewModel } from './model.store.js';

type Row = typeof models.$inferSelect;

const toRecord = ({ localDir: _localDir, createdAt, ...row }: Row): ModelRecord => ({
  ...row,
  createdAt: createdAt.toISOString(),
});

const announce = async (tx: Executor, announcement: Announcement | undefined): Promise<void> => {
  if (announcement) await enqueue(tx, outbox, announcement.definition, announcement.payload);
};

const CONSUMER = 'registry';

@Injectable()
export class PgModelStore extends ModelStore {
  constructor(@Inject(DATABASE) private readonly database: Database<typeof tables>) {
    super();
  }

  override async find(idOrName: string): Promise<ModelRecord | undefined> {
    const [row] = await this.database
      .select()
      .from(models)
      .where(or(eq(models.id, idOrName), eq(models.name, idOrName)))
      .limit(1);
    return row && toRecord(row);
  }

  override async findByJob(jobId: string): Promise<ModelRecord | undefined> {
    const [row] = await this.database.select().from(models).where(eq(models.jobId, jobId));
    return row && toRecord(row);
  }

  override async add({ record, localDir }: NewModel, announcement?: Announcement): Promise<boolean> {
    return this.database.transaction(async (tx) => {
      const added = await tx
        .insert(models)
        .values({ ...record, createdAt: new Date(record.createdAt), localDir })
        .onConflictDoNothing()
        .returning({ id: models.id });
      if (added.length === 0) return false;
      await announce(tx, announcement);
      return true;
    });
  }

  override async change(
    id: string,
    from: ModelRecord['state'],
    fields: Parameters<ModelStore['change']>[2],
    announcement?: Announcement,
  ): Promise<boolean> {
    return this.database.transaction(async (tx) => {
      const changed = await tx
        .update(models)
        .set(fields)
        .where(and(eq(models.id, id), eq(models.state, from)))
        .returning({ id: models.id });
      if (changed.length === 0) return false;
      await announce(tx, announcement);
      return true;
    });
  }

  override async setProof(
    eventId: string,
    modelId: string,
    proof: ModelRecord['proof'],
    reason: string,
  ): Promise<void> {
    await this.database.transaction((tx) =>
      handledOnce(tx, inbox, CONSUMER, eventId, async () => {
        await tx.update(models).set({ proof, proofReason: reason }).where(eq(models.id, modelId));
      }),
    );
  }

  override async explainUnproven(eventId: string, modelId: string, reason: string): Promise<void> {
    await this.database.transaction((tx) =>
      handledOnce(tx, inbox, CONSUMER, eventId, async () => {
        await tx
          .update(models)
          .set({ proofReason: reason })
          .where(and(eq(models.id, modelId), eq(models.proof, 'unproven'), isNull(models.proofReason)));
      }),
    );
  }

  override async remove(id: string, announcement: Announcement): Promise<void> {
    await this.database.transaction(async (tx) => {
      const removed = await tx.delete(models).where(eq(models.id, id)).returning({ id: models.id });
      if (removed.length > 0) await announce(tx, announcement);
    });
  }

  override async namesOfAdapters(baseModelId: string): Promise<string[]> {
    const rows = await this.database
      .select({ name: models.name })
      .from(models)
      .where(and(eq(models.baseModelId, baseModelId), sql`${models.files}->>'form' = 'adapter'`))
      .limit(10);
    return rows.map((row) => row.name);
  }

  override async importing(): Promise<{ id: string; name: string; localDir: string | null }[]> {
    return this.database
      .select({ id: models.id, name: models.name, localDir: models.localDir })
      .from(models)
      .where(and(eq(models.state, 'importing'), eq(models.kind, 'base')))
      .orderBy(asc(models.createdAt))
      .limit(1000);
  }

  override async list(query: Parameters<ModelStore['list']>[0]): Promise<Page<ModelRecord>> {
    const { after, limit, order, kind } = query;
    const beyond =
      after === undefined
        ? undefined
        : sql`(${models.createdAt}, ${models.id}) ${sql.raw(order === 'desc' ? '<' : '>')}
              (select m.created_at, m.id from registry.models m where m.id = ${after})`;
    const direction = order === 'desc' ? desc : asc;
    const rows = await this.database
      .select()
      .from(models)
      .where(and(beyond, kind === undefined ? undefined : eq(models.kind, kind)))
      .orderBy(direction(models.createdAt), direction(models.id))
      .limit(limit + 1);
    return { items: rows.slice(0, limit).map(toRecord), hasMore: rows.length > limit };
  }
}
