import { Inject, Module } from '@nestjs/common';
import type { DynamicModule, OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import type { NatsConnection } from '@nats-io/transport-node';
import { drizzle } from 'drizzle-orm/node-postgres';
import type { NodePgDatabase } from 'drizzle-orm/node-postgres';
import { Pool } from 'pg';
import { NATS_CONNECTION, OutboxRelay } from '@luthier/messaging';
import type { InboxTable, OutboxTable } from '@luthier/messaging';
import { HealthChecks } from './health.js';
import { LOGGER } from './logger.js';
import type { Logger } from './logger.js';
import { ServiceMetrics } from './metrics.js';
import { migrateDatabase } from './migrate.js';
import { Closers } from './shutdown.js';

/** Inject with `@Inject(DATABASE)`; its type is `Database<typeof tables>`. */
export const DATABASE = Symbol('luthier.database');
export type Database<Schema extends Record<string, unknown> = Record<string, never>> = NodePgDatabase<Schema>;

export interface DatabaseOptions {
  /** The service's own Postgres schema, e.g. `training`. */
  schemaName: string;
  /** Absolute folder with Drizzle's migrations. */
  migrationsFolder: string;
  url: string;
  /** @default 4 */
  poolMax?: number;
  /** The service's tables, for Drizzle's relational queries. */
  tables?: Record<string, unknown>;
  /** With it the service's events are relayed to NATS. */
  outbox?: OutboxTable;
  inbox?: InboxTable;
}

const STATEMENT_TIMEOUT_MS = 30_000;

@Module({})
export class DatabaseModule {
  /** Migrates the service's schema (one process at a time), then gives the application its database. */
  static forService(options: DatabaseOptions): DynamicModule {
    return {
      module: DatabaseModule,
      global: true,
      providers: [
        {
          provide: DATABASE,
          inject: [HealthChecks, Closers, LOGGER, ServiceMetrics],
          useFactory: (health: HealthChecks, closers: Closers, logger: Logger, metrics: ServiceMetrics) =>
            openDatabase(options, { health, closers, logger, metrics }),
        },
        { provide: OUTBOX_OPTIONS, useValue: options },
        OutboxRunner,
      ],
      exports: [DATABASE],
    };
  }
}

interface OpenedWith {
  health: HealthChecks;
  closers: Closers;
  logger: Logger;
  metrics: ServiceMetrics;
}

async function openDatabase(
  options: DatabaseOptions,
  { health, closers, logger, metrics }: OpenedWith,
): Promise<Database<Record<string, unknown>>> {
  const started = performance.now();
  await migrateDatabase(options);
  logger.info({ op: 'database.migrated', ok: true, durationMs: Math.round(performance.now() - started) });
  const pool = new Pool({
    connectionString: options.url,
    max: options.poolMax ?? 4,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 30_000,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
    application_name: `luthier-${options.schemaName}`,
  });
  pool.on('error', (err) => logger.warn({ err }, 'An idle database connection was lost'));
  // One that is lost between two queries of a transaction: its next query fails; without a listener the process would end.
  pool.on('connect', (client) => client.on('error', () => undefined));
  metrics.tellConnections(() => ({
    used: pool.totalCount - pool.idleCount,
    idle: pool.idleCount,
    waiting: pool.waitingCount,
  }));
  closers.add('database', () => pool.end());
  health.register('database', async () => void (await pool.query('select 1')));
  return drizzle(pool, { schema: options.tables ?? {} });
}

const OUTBOX_OPTIONS = Symbol('luthier.outbox-options');

/** What a service's module says about its database; undefined of a service without tables. */
export function databaseOf({ imports = [] }: DynamicModule): DatabaseOptions | undefined {
  const imported = imports.find((one) => 'module' in one && one.module === DatabaseModule) as DynamicModule | undefined;
  const provider = imported?.providers?.find((one) => 'provide' in one && one.provide === OUTBOX_OPTIONS);
  return (provider as { useValue: DatabaseOptions } | undefined)?.useValue;
}

/** Runs the outbox relay as long as the application runs. */
class OutboxRunner implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly relay: OutboxRelay<Record<string, unknown>> | undefined;

  constructor(
    @Inject(OUTBOX_OPTIONS) options: DatabaseOptions,
    @Inject(DATABASE) database: NodePgDatabase<Record<string, unknown>>,
    @Inject(NATS_CONNECTION) connection: NatsConnection,
    @Inject(LOGGER) logger: Logger,
    metrics: ServiceMetrics,
  ) {
    if (!options.outbox) return;
    this.relay = new OutboxRelay({
      database,
      connection,
      outbox: options.outbox,
      databaseUrl: options.url,
      ...(options.inbox && { inbox: options.inbox }),
      onError: (err) => {
        metrics.outboxFailures.inc();
        logger.warn({ op: 'outbox.publish', ok: false, err });
      },
    });
  }

  onApplicationBootstrap(): void {
    this.relay?.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.relay?.stop();
  }
}
