import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { NatsConnection } from '@nats-io/transport-node';
import {
  EVENT_STREAM,
  createJob,
  getJob,
  isTerminalJobStatus,
  jobSucceeded,
  listJobEvents,
  listJobMetrics,
  newId,
  readJobStream,
} from '@luthier/contracts';
import type { JobRecord, JobRequest, StreamEntry } from '@luthier/contracts';
import { MessageBus, provision } from '@luthier/messaging';
import { startNats, startPostgres, tempDir, waitFor } from '@luthier/testing';
import type { TestDatabase, TestNats, TestPostgres } from '@luthier/testing';
import { FakePeers } from './testing/fake-peers.js';

/** The steps that were shown of the first attempt; a later one begins with what it inherits. */
const stepsShown = (entries: readonly StreamEntry[]): number[] =>
  entries.flatMap(({ type, data }) => {
    const { attempts, progress } = data as Pick<JobRecord, 'attempts' | 'progress'>;
    return type === 'job' && attempts.length === 1 && progress ? [progress.step] : [];
  });

const TRAINING = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const JOBS = 12;
const SLOTS = 3;

describe('two trainings on one database', () => {
  let postgres: TestPostgres;
  let nats: TestNats;
  let database: TestDatabase;
  let connection: NatsConnection;
  let peers: FakePeers;
  let bus: MessageBus;
  let artifacts: string;
  const replicas: ChildProcess[] = [];

  const startReplica = (): ChildProcess => {
    const child = spawn(process.execPath, [TRAINING], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: {
        ...{ PATH: process.env['PATH'], LUTHIER_NATS_URL: nats.url, LUTHIER_DATABASE_URL: database.url },
        ...{ LUTHIER_ARTIFACTS: artifacts, LUTHIER_LOG_LEVEL: 'error', LUTHIER_HTTP_PORT: '0' },
        ...{ LUTHIER_TRAINING_SWEEP_INTERVAL_MS: '100', LUTHIER_TRAINING_REPROJECT_INTERVAL_MS: '500' },
      },
    });
    replicas.push(child);
    return child;
  };
  const kill = async (child: ChildProcess): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };

  beforeAll(async () => {
    [nats, postgres] = await Promise.all([startNats(), startPostgres()]);
    database = await postgres.createDatabase();
    const dir = await tempDir('training-replicas');
    artifacts = pathToFileURL(dir).href;
    connection = await nats.connect();
    await provision(connection);
    bus = new MessageBus(connection);
    peers = new FakePeers(await nats.connect(), dir);
    for (const profile of peers.inventory.profiles) Object.assign(profile, { slots: SLOTS, freeMemoryMib: 1_000_000 });
    await peers.start();
  });
  afterAll(async () => {
    peers.stop();
    await Promise.all(replicas.map(kill));
    await nats.stop();
    await database.drop();
    await postgres.stop();
  });

  const request = (): JobRequest => ({
    ...{ jobId: newId('job'), model: 'tiny-chat', trainingFile: peers.file(), validationFile: peers.file() },
    ...{ generalFile: null, mix: null, suffix: null, seed: 7, metadata: {}, method: { type: 'supervised' } },
    ...{ tuning: null, hyperparameters: {}, cutoffLength: null, autoFix: false },
  });
  /** A replica that begins does not answer yet, one that has just died may have taken the question with it. */
  const asked = <T>(ask: () => Promise<T>): Promise<T> => waitFor(ask, { intervalMs: 100 });
  const get = (jobId: string): Promise<JobRecord> => asked(() => bus.request(getJob, { jobId }));
  async function stream(jobId: string): Promise<StreamEntry[]> {
    const all: StreamEntry[] = [];
    for (;;) {
      const { entries, ended } = await bus.request(readJobStream, { jobId, after: all.at(-1)?.id ?? 0, limit: 100 });
      all.push(...entries);
      if (ended || entries.length === 0) return all;
    }
  }
  /** How many successes the stream of events of record holds, over all jobs. */
  async function successes(): Promise<number> {
    const filter = JSON.stringify({ subjects_filter: jobSucceeded.subject });
    const answer = await connection.request(`$JS.API.STREAM.INFO.${EVENT_STREAM}`, filter);
    const { state } = answer.json<{ state: { subjects?: Record<string, number> } }>();
    return state.subjects?.[jobSucceeded.subject] ?? 0;
  }

  it('double nothing and lose nothing, keep to the places there are, and one may die in the middle', async () => {
    const [first] = [startReplica(), startReplica()];
    // The first attempts are killed after their checkpoint, and others go on.
    peers.script.push(
      ...Array.from({ length: JOBS * 2 }, (_, index) =>
        index < SLOTS ? { untilStep: 7, checkpointSteps: [5], code: 'runtime.killed' as const } : {},
      ),
    );
    const requests = Array.from({ length: JOBS }, request);
    // Asked twice at the same time: whichever replica answers, it is one job.
    await Promise.all([...requests, ...requests].map((one) => asked(() => bus.request(createJob, one))));
    await waitFor(() => peers.begun.length >= 4);
    if (first) await kill(first);
    startReplica();

    for (const { jobId } of requests) {
      let job = await get(jobId);
      const ended = async (): Promise<boolean> => isTerminalJobStatus((job = await get(jobId)).status);
      await waitFor(ended).catch((cause: unknown) => {
        throw new Error(`last seen ${JSON.stringify(job)}`, { cause });
      });
      expect(job).toMatchObject({ status: 'succeeded', error: null });
      expect(job.attempts.map(({ attempt }) => attempt)).toEqual(job.attempts.map((_, index) => index + 1));
      const { points } = await bus.request(listJobMetrics, { jobId, names: ['loss'] });
      expect(points.map(({ step }) => step)).toEqual(Array.from({ length: peers.totalSteps }, (_, index) => index + 1));
      const entries = await stream(jobId);
      expect(entries.map(({ id }) => id)).toEqual(entries.map((_, index) => index + 1));
      const shown = stepsShown(entries);
      expect(shown).toEqual(shown.toSorted((one, other) => one - other));
      const { items } = await bus.request(listJobEvents, { jobId, limit: 200, order: 'asc' });
      const messages = items.map(({ message }) => message);
      const goesOn = messages.filter((message) => message.startsWith('Training goes on'));
      expect(goesOn).toHaveLength(job.attempts.length - 1);
      const others = messages.filter((message) => !goesOn.includes(message));
      expect(new Set(others).size).toBe(others.length);
      expect(job.progress?.step).toBe(peers.totalSteps);
    }
    expect(peers.mostAtOnce).toBeLessThanOrEqual(SLOTS);
    // Each attempt was begun once.
    const attempts = (await Promise.all(requests.map(({ jobId }) => get(jobId)))).flatMap((job) => job.attempts);
    expect(peers.begun).toHaveLength(attempts.length);
    expect(attempts.length).toBeGreaterThan(JOBS);
    expect(peers.models.size).toBe(JOBS);
    await waitFor(async () => (await successes()) >= JOBS);
    expect(await successes()).toBe(JOBS);
  });
});
