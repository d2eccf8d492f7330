import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { identityOf, isAlive, startPostgres as launch, withFileLock } from '@luthier/local-servers';
import type { ProcessIdentity } from '@luthier/local-servers';

export interface TestDatabase {
  readonly name: string;
  readonly url: string;
  /** Also ends the connections that are still open. */
  drop(): Promise<void>;
}

export interface TestPostgres {
  /** URL of the server's own database; make one per test with `createDatabase`. */
  readonly url: string;
  readonly port: number;
  /** A new, empty database. */
  createDatabase(): Promise<TestDatabase>;
  /** Drops the databases made here. The server itself stays for the next test file of this process and ends with it. */
  stop(): Promise<void>;
}

interface Shared {
  url: string;
  port: number;
  server: ProcessIdentity;
}

/**
 * A real Postgres that waits for no disk, one per test process: test files do not share variables, so the first leaves a
 * note for the next. It ends, and its files go, when the process ends, even by kill -9.
 */
export async function startPostgres(): Promise<TestPostgres> {
  const self = await identityOf(process.pid);
  const dir = join(
    tmpdir(),
    `luthier-pg-${process.pid}-${(self?.startTime ?? '').split(':').at(-1)?.replace(/\W/g, '')}`,
  );
  await mkdir(dir, { recursive: true, mode: 0o711 });
  const { url, port } = await withFileLock(`${dir}.lock`, 90_000, () => sharedServer(dir));
  const made: TestDatabase[] = [];
  return {
    url,
    port,
    createDatabase: async () => {
      const name = `t_${randomBytes(8).toString('hex')}`;
      await query(url, `create database ${name} strategy file_copy`);
      const database: TestDatabase = {
        name,
        url: url.replace(/\/[^/]*$/, `/${name}`),
        drop: () => query(url, `drop database if exists ${name} with (force)`),
      };
      made.push(database);
      return database;
    },
    stop: async () => {
      for (const database of made) await database.drop();
    },
  };
}

async function sharedServer(dir: string): Promise<Shared> {
  const note = join(dir, 'shared.json');
  const known = await readFile(note, 'utf8').then(
    (text) => JSON.parse(text) as Shared,
    () => undefined,
  );
  if (known && (await isAlive(known.server))) return known;
  await rm(note, { force: true });
  const { url, port, pid } = await launch({ dir, durable: false, ephemeral: true });
  const server = await identityOf(pid);
  if (!server) throw new Error('the new Postgres has ended');
  await writeFile(note, JSON.stringify({ url, port, server } satisfies Shared));
  return { url, port, server };
}

async function query(url: string, text: string): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}
