import { index, integer, jsonb, pgSchema, primaryKey, text, timestamp } from 'drizzle-orm/pg-core';
import type { EvaluationRecord, RequestOf, evaluateJob } from '@luthier/contracts';
import { inboxTable, outboxTable } from '@luthier/messaging';

export const evaluation = pgSchema('evaluation');

export const evaluations = evaluation.table(
  'evaluations',
  {
    id: text('id').primaryKey(),
    jobId: text('job_id').notNull().unique(),
    modelId: text('model_id').notNull(),
    state: text('state').$type<EvaluationRecord['state']>().notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
    request: jsonb('request').$type<RequestOf<typeof evaluateJob>>().notNull(),
    record: jsonb('record').$type<EvaluationRecord>().notNull(),
  },
  (table) => [index('evaluations_created_at').on(table.createdAt), index('evaluations_state').on(table.state)],
);

/** What has been answered so far: a restart asks only what is missing. */
export const answers = evaluation.table(
  'answers',
  {
    evaluationId: text('evaluation_id')
      .notNull()
      .references(() => evaluations.id, { onDelete: 'cascade' }),
    fileId: text('file_id').notNull(),
    line: integer('line').notNull(),
    side: text('side').$type<'base' | 'tuned'>().notNull(),
    answer: text('answer').notNull(),
    /** Why there is no answer; asked again it would be the same. */
    refusal: text('refusal'),
  },
  (table) => [primaryKey({ columns: [table.evaluationId, table.fileId, table.line, table.side] })],
);

export const outbox = outboxTable(evaluation);
export const inbox = inboxTable(evaluation);
