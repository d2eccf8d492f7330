import { bigint, index, jsonb, pgSchema, text, timestamp } from 'drizzle-orm/pg-core';
import type { ModelFiles, ModelRecord, ModelShape } from '@luthier/contracts';
import { inboxTable, outboxTable } from '@luthier/messaging';

export const registrySchema = pgSchema('registry');

export const models = registrySchema.table(
  'models',
  {
    id: text('id').primaryKey(),
    name: text('name').notNull().unique(),
    kind: text('kind').$type<ModelRecord['kind']>().notNull(),
    state: text('state').$type<ModelRecord['state']>().notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
    title: text('title').notNull(),
    license: text('license'),
    languages: jsonb('languages').$type<string[]>().notNull(),
    shape: jsonb('shape').$type<ModelShape>(),
    files: jsonb('files').$type<ModelFiles>(),
    sizeBytes: bigint('size_bytes', { mode: 'number' }),
    gives: text('gives').$type<ModelRecord['gives']>().notNull().default('answers'),
    baseModelId: text('base_model_id'),
    jobId: text('job_id').unique(),
    /** Folder named by the user at import. */
    localDir: text('local_dir'),
    source: text('source'),
    sourcesTried: jsonb('sources_tried').$type<ModelRecord['sourcesTried']>().notNull(),
    proof: text('proof').$type<ModelRecord['proof']>().notNull(),
    proofReason: text('proof_reason'),
    error: jsonb('error').$type<ModelRecord['error']>(),
  },
  (table) => [index('models_created').on(table.createdAt, table.id), index('models_base').on(table.baseModelId)],
);

export const outbox = outboxTable(registrySchema);
export const inbox = inboxTable(registrySchema);
export const tables = { models, outbox, inbox };
