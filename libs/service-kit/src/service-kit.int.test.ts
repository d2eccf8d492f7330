import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { Controller, Inject, Injectable, Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { pgSchema, text } from 'drizzle-orm/pg-core';
import { z } from 'zod';
import { AppError, defineEvent, defineRequest } from '@luthier/contracts';
import {
  MessageBus,
  OnEvent,
  OnRequest,
  enqueue,
  handledOnce,
  inboxTable,
  outboxTable,
  provision,
} from '@luthier/messaging';
import type { Delivery } from '@luthier/messaging';
import { startNats, startPostgres, tempDir, waitFor } from '@luthier/testing';
import type { TestDatabase, TestNats, TestPostgres } from '@luthier/testing';
import {
  DATABASE,
  DatabaseModule,
  baseFields,
  bootstrap,
  createLogger,
  databaseFields,
  defineConfig,
  loadConfig,
} from './index.js';
import type { Database, RunningService } from './index.js';

const subject = (...parts: string[]): string => ['luthier', 'v1', ...parts].join('.');
const addFile = defineRequest({
  subject: subject('rpc', 'datasets', 'add-file'),
  request: z.object({ id: z.string(), fail: z.boolean().default(false) }),
  response: z.object({ id: z.string() }),
});
const countFiles = defineRequest({
  subject: subject('rpc', 'training', 'count-files'),
  request: z.object({}),
  response: z.object({ ids: z.array(z.string()) }),
});
const fileAdded = defineEvent({
  subject: subject('event', 'datasets', 'file', 'added'),
  schema: z.object({ id: z.string() }),
  key: ({ id }) => id,
});

const datasets = pgSchema('datasets');
const files = datasets.table('files', { id: text('id').primaryKey() });
const datasetsOutbox = outboxTable(datasets);
const training = pgSchema('training');
const seen = training.table('seen', { id: text('id').primaryKey() });
const trainingInbox = inboxTable(training);

@Controller()
class FilesRpc {
  constructor(@Inject(DATABASE) private readonly db: Database) {}
  @OnRequest(addFile)
  async add({ id, fail }: { id: string; fail: boolean }): Promise<{ id: string }> {
    if (fail) throw new Error('the disk is on fire');
    await this.db.transaction(async (tx) => {
      await tx.insert(files).values({ id });
      await enqueue(tx, datasetsOutbox, fileAdded, { id });
    });
    return { id };
  }
}

@Module({})
class SilentModule {}

@Injectable()
class FilesEvents {
  constructor(@Inject(DATABASE) private readonly db: Database) {}
  @OnEvent(fileAdded, { consumer: 'training' })
  async added({ id }: { id: string }, { eventId }: Delivery): Promise<void> {
    await this.db.transaction((tx) =>
      handledOnce(tx, trainingInbox, 'training', eventId, async () => void (await tx.insert(seen).values({ id }))),
    );
  }
}

@Controller()
class CountRpc {
  constructor(@Inject(DATABASE) private readonly db: Database) {}
  @OnRequest(countFiles)
  async count(): Promise<{ ids: string[] }> {
    return { ids: (await this.db.select().from(seen)).map(({ id }) => id) };
  }
}

@Module({})
class DatasetsModule {
  static forRoot(url: string, migrationsFolder: string): DynamicModule {
    const database = DatabaseModule.forService({
      schemaName: 'datasets',
      migrationsFolder,
      url,
      outbox: datasetsOutbox,
    });
    return { module: DatasetsModule, imports: [database], controllers: [FilesRpc] };
  }
}
@Module({})
class TrainingModule {
  static forRoot(url: string, migrationsFolder: string): DynamicModule {
    const database = DatabaseModule.forService({ schemaName: 'training', migrationsFolder, url, inbox: trainingInbox });
    return { module: TrainingModule, imports: [database], controllers: [CountRpc], providers: [FilesEvents] };
  }
}

async function migrations(root: string, name: string, sql: string): Promise<string> {
  const folder = join(root, name);
  await mkdir(join(folder, 'meta'), { recursive: true });
  await writeFile(join(folder, '0000_init.sql'), sql);
  const entries = [{ idx: 0, version: '7', when: 1_700_000_000_000, tag: '0000_init', breakpoints: true }];
  await writeFile(
    join(folder, 'meta', '_journal.json'),
    JSON.stringify({ version: '7', dialect: 'postgresql', entries }),
  );
  return folder;
}

const DATASETS_SQL = `create schema "datasets";
create table "datasets"."files" (id text primary key);
create table "datasets"."outbox" (id text primary key, seq bigserial not null, subject text not null, payload jsonb not null,
  created_at timestamptz not null default now(), published_at timestamptz, published_stream text);`;
const TRAINING_SQL = `create schema "training";
create table "training"."seen" (id text primary key);
create table "training"."inbox" (consumer text not null, event_id text not null, handled_at timestamptz not null default now(),
  primary key (consumer, event_id));`;

let nats: TestNats;
let postgres: TestPostgres;
let database: TestDatabase;
let bus: MessageBus;
let services: RunningService[];
const lines: Record<string, unknown>[] = [];
const destination = new Writable({
  write(chunk: Buffer, _encoding, done) {
    for (const line of chunk.toString().trim().split('\n')) lines.push(JSON.parse(line) as Record<string, unknown>);
    done();
  },
});

const startAll = async (root: string): Promise<RunningService[]> => {
  const config = (service: string) =>
    loadConfig(
      defineConfig(service, { ...baseFields, ...databaseFields }),
      {},
      { natsUrl: nats.url, databaseUrl: database.url },
    );
  const start = (service: string, module: DynamicModule): Promise<RunningService> =>
    bootstrap(module, config(service), { logger: createLogger({ service, level: 'info', destination }) });
  return Promise.all([
    start('datasets', DatasetsModule.forRoot(database.url, await migrations(root, 'datasets', DATASETS_SQL))),
    start('training', TrainingModule.forRoot(database.url, await migrations(root, 'training', TRAINING_SQL))),
  ]);
};

let root: string;
beforeAll(async () => {
  root = await tempDir('service-kit');
  [nats, postgres] = await Promise.all([startNats(), startPostgres()]);
  database = await postgres.createDatabase();
  const connection = await nats.connect();
  await provision(connection);
  bus = new MessageBus(connection);
  services = await startAll(root);
});
afterAll(async () => {
  await Promise.all(services.map((service) => service.stop()));
  await nats.stop();
  await postgres.stop();
});

describe('two services in one process', () => {
  it('answer requests, and an event of one reaches the other through outbox, stream and inbox', async () => {
    await expect(bus.request(addFile, { id: 'file-1' })).resolves.toEqual({ id: 'file-1' });
    const { ids } = await waitFor(async () => {
      const answer = await bus.request(countFiles, {});
      return answer.ids.length > 0 ? answer : undefined;
    });
    expect(ids).toEqual(['file-1']);
  });

  it('write one flat line for each request, and the cause of a fault only there', async () => {
    const failure = await bus
      .request(addFile, { id: 'file-2', fail: true })
      .catch((thrown: unknown) => thrown as AppError);
    expect(failure).toMatchObject({ code: 'internal' });
    expect(JSON.stringify(failure)).not.toContain('fire');
    const line = await waitFor(() => lines.find(({ op, ok }) => op === addFile.subject && ok === false));
    expect(line).toMatchObject({ service: 'datasets', errorCode: 'internal', err: { message: 'the disk is on fire' } });
    expect(typeof line['durationMs']).toBe('number');
  });

  it('have health, readiness and metrics of their own, and the metrics of the process', async () => {
    for (const { url, name } of services) {
      expect((await fetch(`${url}/healthz`)).status).toBe(200);
      const ready = await fetch(`${url}/readyz`);
      expect(await ready.json()).toEqual({ ready: true, checks: { nats: 'ok', database: 'ok' } });
      const text = await (await fetch(`${url}/metrics`)).text();
      expect(text).toContain('process_cpu_seconds_total');
      expect(text).toMatch(new RegExp(`luthier_rpc_duration_seconds_count\\{[^}]*service="${name}"`));
      expect(text).toContain(`luthier_database_connections{state="waiting",service="${name}"} 0`);
      expect(text).not.toContain(`service="${name === 'datasets' ? 'training' : 'datasets'}"`);
    }
  });

  it('are not ready while NATS is away, nor know what waits in consumers, and are and do again when it is back', async () => {
    const [service, reader] = services;
    const backlogs = async (): Promise<string[]> => {
      const text = await (await fetch(`${reader?.url}/metrics`)).text();
      return text.match(/^luthier_consumer_.*/gm) ?? [];
    };
    const none = ['pending', 'unacknowledged', 'redelivered'].map(
      (what) => `luthier_consumer_${what}{consumer="training",service="training"} 0`,
    );
    await waitFor(async () => (await backlogs()).join() === none.join());
    await nats.kill();
    await waitFor(async () => (await fetch(`${service?.url}/readyz`)).status === 503);
    expect(await backlogs()).toEqual([]);
    await nats.restart();
    await waitFor(async () => (await backlogs()).join() === none.join());
    await waitFor(async () => (await fetch(`${service?.url}/readyz`)).status === 200);
    await waitFor(async () => (await bus.request(addFile, { id: 'file-3' })).id);
  });

  it('answer on while they drain, and send away who keeps a connection, before they end', async () => {
    const draining = await bootstrap(
      SilentModule,
      loadConfig(defineConfig('datasets', baseFields), {}, { natsUrl: nats.url, drainMs: 5_000 }),
      { logger: createLogger({ service: 'datasets', level: 'silent' }) },
    );
    expect((await fetch(`${draining.url}/healthz`)).headers.get('connection')).toBe('keep-alive');
    const started = performance.now();
    const stopped = draining.stop().then(() => performance.now() - started);
    const [alive, ready] = [await fetch(`${draining.url}/healthz`), await fetch(`${draining.url}/readyz`)];
    expect([alive.status, ready.status]).toEqual([200, 503]);
    expect(alive.headers.get('connection')).toBe('close');
    expect(await stopped).toBeGreaterThanOrEqual(4_900);
    await expect(fetch(`${draining.url}/healthz`)).rejects.toThrow();
  });

  it('end in order, and start again on the same database', async () => {
    await Promise.all(services.map((service) => service.stop()));
    await expect(bus.request(countFiles, {})).rejects.toMatchObject({ code: 'service.unavailable' });
    services = await startAll(root);
    const { ids } = await bus.request(countFiles, {});
    expect(ids).toContain('file-1');
  });
});
