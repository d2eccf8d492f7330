import { pathToFileURL } from 'node:url';
import { createJob, getJob, newId } from '@luthier/contracts';
import type { JobRecord, JobRequest } from '@luthier/contracts';
import { MessageBus, provision } from '@luthier/messaging';
import { createLogger, loadConfig } from '@luthier/service-kit';
import type { RunningService } from '@luthier/service-kit';
import { startNats, startPostgres, tempDir, waitFor } from '@luthier/testing';
import type { TestDatabase, TestNats, TestPostgres } from '@luthier/testing';
import { startTraining, trainingConfig } from '../index.js';
import { FakePeers } from './fake-peers.js';

/** Training with a NATS and a Postgres of its own, and stand-ins for the services that it asks. */
export class TrainingFixture {
  private constructor(
    private readonly nats: TestNats,
    private readonly postgres: TestPostgres,
    private readonly database: TestDatabase,
    private readonly artifactsDir: string,
    readonly bus: MessageBus,
    readonly peers: FakePeers,
  ) {}

  private service!: RunningService;

  static async start(): Promise<TrainingFixture> {
    const [nats, postgres, artifactsDir] = await Promise.all([startNats(), startPostgres(), tempDir('training')]);
    const database = await postgres.createDatabase();
    const connection = await nats.connect();
    await provision(connection);
    const peers = new FakePeers(await nats.connect(), artifactsDir);
    await peers.start();
    const fixture = new TrainingFixture(nats, postgres, database, artifactsDir, new MessageBus(connection), peers);
    await fixture.startService();
    return fixture;
  }

  async restart(): Promise<void> {
    await this.service.stop();
    await this.startService();
  }

  async stop(): Promise<void> {
    this.peers.stop();
    await this.service.stop();
    await this.nats.stop();
    await this.database.drop();
    await this.postgres.stop();
  }

  /** @returns the job's id */
  async create(patch: Partial<JobRequest> = {}): Promise<string> {
    const files = { trainingFile: this.peers.file(), validationFile: null, generalFile: null };
    const { id } = await this.bus.request(createJob, {
      ...{ jobId: newId('job'), model: 'tiny-chat', ...files, mix: null, suffix: null, seed: 7, metadata: {} },
      ...{ method: { type: 'supervised' }, tuning: null, hyperparameters: {}, cutoffLength: null, autoFix: false },
      ...patch,
    });
    return id;
  }

  job(jobId: string): Promise<JobRecord> {
    return this.bus.request(getJob, { jobId });
  }

  /** Samples that training serves, by name and labels. */
  async metrics(): Promise<Map<string, number>> {
    const answer = await fetch(`${this.service.url}/metrics`, { signal: AbortSignal.timeout(60_000) });
    const samples = [...(await answer.text()).matchAll(/^(\w+(?:\{.*\})?) (\S+)$/gm)];
    return new Map(samples.map(([, series = '', value]) => [series, Number(value)]));
  }

  until(jobId: string, status: JobRecord['status']): Promise<JobRecord> {
    const reached = async (): Promise<JobRecord | undefined> => {
      const job = await this.job(jobId);
      return job.status === status ? job : undefined;
    };
    return waitFor(reached, { what: `${jobId} to be ${status}` });
  }

  private async startService(): Promise<void> {
    const { nats, database, artifactsDir } = this;
    const artifacts = pathToFileURL(artifactsDir).href;
    const settings = { natsUrl: nats.url, databaseUrl: database.url, artifacts };
    const config = loadConfig(trainingConfig, {}, { ...settings, sweepIntervalMs: 100, shutdownTimeoutMs: 3_000 });
    this.service = await startTraining(config, { logger: createLogger({ service: 'training', level: 'silent' }) });
  }
}
