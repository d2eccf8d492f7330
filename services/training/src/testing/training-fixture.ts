import { pathToFileURL } from 'node:url';
import { Client } from 'pg';
import { createJob, getJob, listJobEvents, listJobMetrics, newId, readJobStream } from '@luthier/contracts';
import type { JobRecord, JobRequest, StreamEntry } from '@luthier/contracts';
import { MessageBus, provision } from '@luthier/messaging';
import { createLogger, loadConfig } from '@luthier/service-kit';
import type { RunningService } from '@luthier/service-kit';
import { startNats, startPostgres, tempDir, waitFor } from '@luthier/testing';
import type { TestDatabase, TestNats, TestPostgres } from '@luthier/testing';
import { startTraining, trainingConfig } from '../index.js';
import { JobStore } from '../jobs/job.store.js';
import { FakePeers } from './fake-peers.js';

interface Servers {
  readonly nats: TestNats;
  readonly postgres: TestPostgres;
  readonly ownsPostgres: boolean;
  readonly database: TestDatabase;
  readonly artifactsDir: string;
}

/** 1, 2, ... `count`. */
export const numbered = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

/** Training with a NATS and a database of its own, and stand-ins for the services that it asks. */
export class TrainingFixture {
  private service!: RunningService;

  private constructor(
    private readonly servers: Servers,
    readonly bus: MessageBus,
    readonly peers: FakePeers,
  ) {}

  /** @param given a Postgres that outlives it; @default one of its own */
  static async start(given?: TestPostgres): Promise<TrainingFixture> {
    const [nats, postgres, artifactsDir] = await Promise.all([
      startNats(),
      given ?? startPostgres(),
      tempDir('training'),
    ]);
    const database = await postgres.createDatabase();
    const connection = await nats.connect();
    await provision(connection);
    const peers = new FakePeers(await nats.connect(), artifactsDir);
    await peers.start();
    const servers = { nats, postgres, ownsPostgres: given === undefined, database, artifactsDir };
    const fixture = new TrainingFixture(servers, new MessageBus(connection), peers);
    await fixture.startService();
    return fixture;
  }

  async restart(): Promise<void> {
    await this.service.stop();
    await this.startService();
  }

  /** What is under way in the database is rolled back, as when the process is killed; then the process goes. */
  async crash(): Promise<void> {
    await this.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'luthier-training' and datname = current_database()`,
    );
    await this.service.stop();
  }

  async stop(): Promise<void> {
    const { nats, postgres, ownsPostgres, database } = this.servers;
    this.peers.stop();
    await this.service.stop();
    await nats.stop();
    await database.drop();
    if (ownsPostgres) await postgres.stop();
  }

  async startService(): Promise<void> {
    const { nats, database, artifactsDir } = this.servers;
    const artifacts = pathToFileURL(artifactsDir).href;
    const settings = { natsUrl: nats.url, databaseUrl: database.url, artifacts };
    const config = loadConfig(trainingConfig, {}, { ...settings, sweepIntervalMs: 100, shutdownTimeoutMs: 3_000 });
    this.service = await startTraining(config, { logger: createLogger({ service: 'training', level: 'silent' }) });
  }

  get store(): JobStore {
    return this.service.app.get(JobStore, { strict: false });
  }

  /** A supervised job over files that can be used. */
  request(patch: Partial<JobRequest> = {}): JobRequest {
    const files = { trainingFile: this.peers.file(), validationFile: this.peers.file(), generalFile: null, mix: null };
    return {
      ...{ jobId: newId('job'), model: 'tiny-chat', ...files, suffix: 'support', seed: 7, metadata: {} },
      ...{ method: { type: 'supervised' }, tuning: null, hyperparameters: {}, cutoffLength: null, autoFix: false },
      ...patch,
    };
  }

  submit(patch: Partial<JobRequest> = {}): Promise<JobRecord> {
    return this.bus.request(createJob, this.request(patch));
  }

  /** Without held-out rows and suffix. @returns the job's id */
  async create(patch: Partial<JobRequest> = {}): Promise<string> {
    return (await this.submit({ validationFile: null, suffix: null, ...patch })).id;
  }

  job(jobId: string): Promise<JobRecord> {
    return this.bus.request(getJob, { jobId });
  }

  until(jobId: string, status: JobRecord['status']): Promise<JobRecord> {
    const reached = async (): Promise<JobRecord | undefined> => {
      const job = await this.job(jobId);
      return job.status === status ? job : undefined;
    };
    return waitFor(reached, { what: `${jobId} to be ${status}` });
  }

  async losses(jobId: string): Promise<{ step: number; value: number }[]> {
    return (await this.bus.request(listJobMetrics, { jobId, names: ['loss'] })).points;
  }

  /** Of its events, oldest first. */
  async messages(jobId: string): Promise<string[]> {
    const { items } = await this.bus.request(listJobEvents, { jobId, limit: 200, order: 'asc' });
    return items.map(({ message }) => message);
  }

  /** The job's live stream, read in pieces from its beginning. */
  async stream(jobId: string): Promise<StreamEntry[]> {
    const all: StreamEntry[] = [];
    for (;;) {
      const after = all.at(-1)?.id ?? 0;
      const { entries, ended } = await this.bus.request(readJobStream, { jobId, after, limit: 20 });
      all.push(...entries);
      if (ended || entries.length === 0) return all;
    }
  }

  /** Subjects of what the job has announced. */
  async outbox(jobId: string): Promise<string[]> {
    const sql = `select subject from training.outbox where payload->>'jobId' = $1`;
    return (await this.query<{ subject: string }>(sql, [jobId])).map(({ subject }) => subject);
  }

  /** What the job has announced. */
  async announced(jobId: string): Promise<object[]> {
    const sql = `select payload from training.outbox where payload->>'jobId' = $1`;
    return (await this.query<{ payload: object }>(sql, [jobId])).map(({ payload }) => payload);
  }

  async query<Row extends object>(text: string, values: unknown[] = []): Promise<Row[]> {
    const client = new Client({ connectionString: this.servers.database.url });
    await client.connect();
    try {
      return (await client.query<Row>(text, values)).rows;
    } finally {
      await client.end();
    }
  }

  /** Samples that training serves, by name and labels. */
  async metrics(): Promise<Map<string, number>> {
    const answer = await fetch(`${this.service.url}/metrics`, { signal: AbortSignal.timeout(60_000) });
    const samples = [...(await answer.text()).matchAll(/^(\w+(?:\{.*\})?) (\S+)$/gm)];
    return new Map(samples.map(([, series = '', value]) => [series, Number(value)]));
  }
}
