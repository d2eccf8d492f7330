import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate } from 'drizzle-orm/node-postgres/migrator';
import { Client } from 'pg';
import { AppError } from '@luthier/contracts';

/** Any fixed number: everybody who migrates in this database takes the same lock. */
const MIGRATION_LOCK = 7_348_512_001;
const CONNECT_FOR_MS = 30_000;

/**
 * Brings a service's schema up to date; several processes may call it at once. Drizzle's record of what has run lies in
 * the schema `luthier_migrations`, one table per service.
 * @throws AppError `service.unavailable` when the database does not answer for 30 s.
 */
export async function migrateDatabase(options: {
  url: string;
  schemaName: string;
  migrationsFolder: string;
}): Promise<void> {
  const client = await connect(options.url);
  try {
    await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await migrate(drizzle(client), {
      migrationsFolder: options.migrationsFolder,
      migrationsSchema: 'luthier_migrations',
      migrationsTable: options.schemaName,
    });
  } finally {
    await client.end(); // also gives the lock back
  }
}

async function connect(url: string): Promise<Client> {
  const deadline = Date.now() + CONNECT_FOR_MS;
  for (;;) {
    const client = new Client({
      connectionString: url,
      connectionTimeoutMillis: 5_000,
      application_name: 'luthier-migrate',
    });
    client.on('error', () => undefined); // a lost connection fails the query that runs; alone it must not end the process
    try {
      await client.connect();
      return client;
    } catch (cause) {
      await client.end().catch(() => undefined);
      if (Date.now() > deadline) throw new AppError('service.unavailable', 'The database does not answer', { cause });
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}
