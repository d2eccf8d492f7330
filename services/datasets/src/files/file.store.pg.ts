import { Inject, Injectable } from '@nestjs/common';
import { and, asc, desc, eq, lt, sql } from 'drizzle-orm';
import { AppError, fileValidated } from '@luthier/contracts';
import type { FileRecord, Page, ValidationReport } from '@luthier/contracts';
import { enqueue } from '@luthier/messaging';
import { DATABASE } from '@luthier/service-kit';
import type { Database } from '@luthier/service-kit';
import { files, outbox } from '../db/schema.js';
import type { tables } from '../db/schema.js';
import { FileStore } from './file.store.js';
import type { NewFile, StoredFile } from './file.store.js';

type Row = typeof files.$inferSelect;
const toRecord = ({ report: _report, createdAt, expiresAt, ...row }: Row): FileRecord => ({
  ...row,
  createdAt: createdAt.toISOString(),
  expiresAt: expiresAt?.toISOString() ?? null,
});
const toStored = (row: Row): StoredFile => ({ record: toRecord(row), report: row.report });

@Injectable()
export class PgFileStore extends FileStore {
  constructor(@Inject(DATABASE) private readonly database: Database<typeof tables>) {
    super();
  }

  override async add(file: NewFile, status: FileRecord['status']): Promise<StoredFile> {
    await this.database
      .insert(files)
      .values({
        ...file,
        createdAt: new Date(file.createdAt),
        expiresAt: file.expiresAt === null ? null : new Date(file.expiresAt),
        status,
      })
      .onConflictDoNothing();
    const stored = await this.find(file.id);
    if (!stored) throw new AppError('file.not-found', `The file ${file.id} was deleted while it was added`);
    return stored;
  }

  override async find(fileId: string): Promise<StoredFile | undefined> {
    const [row] = await this.database.select().from(files).where(eq(files.id, fileId));
    return row && toStored(row);
  }

  override async list({ after, limit, order, purpose }: Parameters<FileStore['list']>[0]): Promise<Page<FileRecord>> {
    const beyond =
      after === undefined
        ? undefined
        : sql`(${files.createdAt}, ${files.id}) ${sql.raw(order === 'desc' ? '<' : '>')}
              (select f.created_at, f.id from datasets.files f where f.id = ${after})`;
    const direction = order === 'desc' ? desc : asc;
    const rows = await this.database
      .select()
      .from(files)
      .where(and(beyond, purpose === undefined ? undefined : eq(files.purpose, purpose)))
      .orderBy(direction(files.createdAt), direction(files.id))
      .limit(limit + 1);
    return { items: rows.slice(0, limit).map(toRecord), hasMore: rows.length > limit };
  }

  override async unvalidated(): Promise<FileRecord[]> {
    const rows = await this.database
      .select()
      .from(files)
      .where(eq(files.status, 'uploaded'))
      .orderBy(asc(files.createdAt))
      .limit(10_000);
    return rows.map(toRecord);
  }

  override async expired(now: Date): Promise<string[]> {
    const rows = await this.database
      .select({ id: files.id })
      .from(files)
      .where(lt(files.expiresAt, now))
      .orderBy(asc(files.expiresAt))
      .limit(1_000);
    return rows.map(({ id }) => id);
  }

  override async finish(
    fileId: string,
    status: 'processed' | 'error',
    statusDetails: string | null,
    report: ValidationReport,
  ): Promise<void> {
    await this.database.transaction(async (tx) => {
      const changed = await tx
        .update(files)
        .set({ status, statusDetails, report })
        .where(and(eq(files.id, fileId), eq(files.status, 'uploaded')))
        .returning({ id: files.id });
      if (changed.length === 0) return;
      const { rows, usableRows, errorCount, warningCount } = report;
      await enqueue(tx, outbox, fileValidated, { fileId, rows, usableRows, errorCount, warningCount });
    });
  }

  override async remove(fileId: string): Promise<void> {
    await this.database.delete(files).where(eq(files.id, fileId));
  }
}
