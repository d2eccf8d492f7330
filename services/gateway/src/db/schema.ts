import { index, pgSchema, text, timestamp } from 'drizzle-orm/pg-core';

export const gateway = pgSchema('gateway');

/** Hashes of keys. `name` says what a key is for; today there is one, `installation`. */
export const apiKeys = gateway.table('api_keys', {
  name: text('name').primaryKey(),
  hash: text('hash').notNull().unique(),
  createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
});

export const sessions = gateway.table(
  'sessions',
  {
    /** SHA-256 of the token in the cookie. */
    id: text('id').primaryKey(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
    expiresAt: timestamp('expires_at', { withTimezone: true }).notNull(),
  },
  (table) => [index('sessions_expires_at').on(table.expiresAt)],
);
