import { bigint, index, integer, jsonb, pgSchema, text, timestamp, unique } from 'drizzle-orm/pg-core';
import type { ArtifactRef, DatasetRecord, FileRecord, ValidationReport } from '@luthier/contracts';
import { inboxTable, outboxTable } from '@luthier/messaging';
import type { PreparationOrder } from '../preparation/preparation-order.js';

export const datasetsSchema = pgSchema('datasets');

export const files = datasetsSchema.table(
  'files',
  {
    id: text('id').primaryKey(),
    filename: text('filename').notNull(),
    purpose: text('purpose').$type<FileRecord['purpose']>().notNull(),
    sizeBytes: bigint('size_bytes', { mode: 'number' }).notNull(),
    sha256: text('sha256').notNull(),
    uri: text('uri').notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull(),
    expiresAt: timestamp('expires_at', { withTimezone: true }),
    /** `uploaded` until the validation has ended. */
    status: text('status').$type<FileRecord['status']>().notNull(),
    statusDetails: text('status_details'),
    report: jsonb('report').$type<ValidationReport>(),
  },
  (table) => [index('files_created').on(table.createdAt, table.id), index('files_expires').on(table.expiresAt)],
);

export const datasets = datasetsSchema.table(
  'datasets',
  {
    id: text('id').primaryKey(),
    cacheKey: text('cache_key').notNull(),
    role: text('role').$type<DatasetRecord['role']>().notNull(),
    state: text('state').$type<DatasetRecord['state']>().notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
    kind: text('kind').$type<DatasetRecord['kind']>().notNull().default('sft'),
    /** What is to be prepared, as it was when it was asked for. */
    preparation: jsonb('preparation').$type<PreparationOrder>().notNull(),
    sources: jsonb('sources').$type<DatasetRecord['sources']>().notNull(),
    rows: integer('rows').notNull().default(0),
    tokens: bigint('tokens', { mode: 'number' }).notNull().default(0),
    trainedTokens: bigint('trained_tokens', { mode: 'number' }).notNull().default(0),
    longestRowTokens: integer('longest_row_tokens').notNull().default(0),
    longestPassTokens: integer('longest_pass_tokens').notNull().default(0),
    cutoffLength: integer('cutoff_length').notNull(),
    artifact: jsonb('artifact').$type<ArtifactRef>(),
    error: jsonb('error').$type<DatasetRecord['error']>(),
  },
  (table) => [
    unique('datasets_cache_key_role').on(table.cacheKey, table.role),
    index('datasets_created').on(table.createdAt, table.id),
  ],
);

export const outbox = outboxTable(datasetsSchema);
export const inbox = inboxTable(datasetsSchema);
export const tables = { files, datasets, outbox, inbox };
