import { sql } from 'drizzle-orm';
import type { NodePgDatabase } from 'drizzle-orm/node-postgres';
import { bigserial, index, jsonb, primaryKey, text, timestamp } from 'drizzle-orm/pg-core';
import type { PgSchema } from 'drizzle-orm/pg-core';
import type { z } from 'zod';
import type { EventDefinition } from '@luthier/contracts';
import { parsePayload } from './validation.js';

/** A Drizzle database or transaction, whatever tables it knows. */
export type Executor = Pick<NodePgDatabase, 'insert' | 'select' | 'update' | 'delete' | 'execute'>;

/** Channel on which a commit with new outbox rows is told. */
export const OUTBOX_CHANNEL = 'luthier_outbox';

/** `<schema>.outbox`: events written in the transaction that changed the state. Export it from the service's schema. */
export const outboxTable = (schema: PgSchema) =>
  schema.table(
    'outbox',
    {
      /** `<subject>:<key>`, the event's id and `Nats-Msg-Id`. */
      id: text('id').primaryKey(),
      seq: bigserial('seq', { mode: 'number' }).notNull(),
      subject: text('subject').notNull(),
      payload: jsonb('payload').notNull(),
      createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
      publishedAt: timestamp('published_at', { withTimezone: true }),
      /** Creation time of the stream that holds the event: another one means that it has to be published again. */
      publishedStream: text('published_stream'),
    },
    (table) => [index('outbox_published').on(table.publishedStream, table.seq)],
  );
export type OutboxTable = ReturnType<typeof outboxTable>;

/** `<schema>.inbox`: what a consumer has handled. Export it from the service's schema. */
export const inboxTable = (schema: PgSchema) =>
  schema.table(
    'inbox',
    {
      consumer: text('consumer').notNull(),
      eventId: text('event_id').notNull(),
      handledAt: timestamp('handled_at', { withTimezone: true }).notNull().defaultNow(),
    },
    (table) => [
      primaryKey({ columns: [table.consumer, table.eventId] }),
      index('inbox_handled_at').on(table.handledAt),
    ],
  );
export type InboxTable = ReturnType<typeof inboxTable>;

/**
 * Writes an event into the outbox; call it with the transaction that changes the state. The same event (same key)
 * twice is one row. Returns the event id.
 * @throws AppError `request.invalid` when the payload does not match the definition.
 */
export async function enqueue<Schema extends z.ZodType>(
  tx: Executor,
  table: OutboxTable,
  definition: EventDefinition<Schema>,
  payload: z.input<Schema>,
): Promise<string> {
  const checked = parsePayload(definition.schema, payload);
  const id = `${definition.subject}:${definition.key(checked)}`;
  await tx.insert(table).values({ id, subject: definition.subject, payload: checked }).onConflictDoNothing();
  await tx.execute(sql`select pg_notify(${OUTBOX_CHANNEL}, '')`);
  return id;
}

/**
 * Runs `handle` in the caller's transaction only if this consumer has not handled the event yet. Returns whether it ran.
 * A concurrent second delivery waits for the first transaction and then sees its row.
 */
export async function handledOnce(
  tx: Executor,
  table: InboxTable,
  consumer: string,
  eventId: string,
  handle: () => Promise<void>,
): Promise<boolean> {
  const inserted = await tx
    .insert(table)
    .values({ consumer, eventId })
    .onConflictDoNothing()
    .returning({ eventId: table.eventId });
  if (inserted.length === 0) return false;
  await handle();
  return true;
}
