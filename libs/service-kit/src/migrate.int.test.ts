import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { startPostgres, tempDir } from '@luthier/testing';
import type { TestDatabase, TestPostgres } from '@luthier/testing';
import { migrateDatabase } from './migrate.js';

const FIRST = 'create schema "notes"; create table "notes"."notes" (id text primary key)';
const SECOND = `alter table "notes"."notes" add column "kind" text not null default 'plain'`;

/** As drizzle-kit leaves them for a program that knows so many. */
async function migrationsOf(name: string, statements: readonly string[]): Promise<string> {
  const folder = join(await tempDir('migrations'), name);
  await mkdir(join(folder, 'meta'), { recursive: true });
  const entries = statements.map((_, idx) => ({ idx, when: 1_700_000_000_000 + idx, tag: `000${idx}_step` }));
  for (const [at, text] of statements.entries()) await writeFile(join(folder, `000${at}_step.sql`), text);
  await writeFile(join(folder, 'meta', '_journal.json'), JSON.stringify({ dialect: 'postgresql', entries }));
  return folder;
}

describe('the schema of a service', () => {
  let postgres: TestPostgres;
  let database: TestDatabase;
  beforeAll(async () => {
    postgres = await startPostgres();
    database = await postgres.createDatabase();
  });
  afterAll(() => postgres.stop());

  const startAs = async (name: string, ...statements: string[]): Promise<void> =>
    migrateDatabase({
      url: database.url,
      schemaName: 'notes',
      migrationsFolder: await migrationsOf(name, statements),
    });
  const rows = async (text: string): Promise<unknown[]> => {
    const client = new Client({ connectionString: database.url });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(text)).rows;
    } finally {
      await client.end();
    }
  };

  it('serves the program of before, too, once the next one has added to it, and is not taken back', async () => {
    await startAs('older', FIRST);
    await startAs('newer', FIRST, SECOND);
    await startAs('older', FIRST);
    await rows(`insert into notes.notes (id) values ('of the older')`);
    await startAs('newer', FIRST, SECOND);
    expect(await rows('select * from notes.notes')).toEqual([{ id: 'of the older', kind: 'plain' }]);
    expect(await rows('select count(*)::int as done from luthier_migrations.notes')).toEqual([{ done: 2 }]);
  });

  it('stays as it is when a step of the next program fails', async () => {
    const added = 'create table "notes"."more" (id text primary key)';
    await expect(
      startAs('broken', FIRST, SECOND, added, 'alter table "notes"."nowhere" add "x" text'),
    ).rejects.toThrow();
    expect(await rows(`select to_regclass('notes.more') as found`)).toEqual([{ found: null }]);
    await startAs('newer', FIRST, SECOND);
  });
});
