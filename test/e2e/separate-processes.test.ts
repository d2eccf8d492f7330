import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { createClient, unwrap } from '@luthier/api-client';
import { SERVICES } from '@luthier/contracts';
import { natsPermissions, natsServerConfig } from '@luthier/messaging';
import { canRunS3, startNats, startPostgres, startS3, steadyPort, tempDir, waitFor } from '@luthier/testing';
import type { TestDatabase, TestNats, TestPostgres, TestS3 } from '@luthier/testing';
import { LONG_RUN, expectWholeAndSingle, submitJob, waitForEnd, waitForTraining } from './support/jobs.js';
import { killFirst, runnersIn } from './support/processes.js';
import { startService } from './support/service-process.js';
import type { ServiceProcess } from './support/service-process.js';
import { startTraceCollector } from './support/trace-collector.js';

const LUTHIER = fileURLToPath(new URL('../../services/cli/dist/main.js', import.meta.url));

const hasS3 = await canRunS3();

describe('each service as a process of its own, with its own credentials, and artifacts in S3', () => {
  const password = randomBytes(12).toString('hex');
  let nats: TestNats;
  let postgres: TestPostgres;
  let s3: TestS3 | undefined;
  let database: TestDatabase;
  let dir: string;
  let services: ServiceProcess[] = [];
  let collector: Awaited<ReturnType<typeof startTraceCollector>>;
  let url: string;
  let apiKey: string;
  let metricsPort: number;
  beforeAll(async () => {
    const users = SERVICES.map((user) => ({
      user,
      password: `${user}-${password}`,
      permissions: natsPermissions(user),
    }));
    [collector, nats, postgres, s3] = await Promise.all([
      startTraceCollector(),
      startNats({ configuration: natsServerConfig([...users, { user: 'admin', password }]) }),
      startPostgres(),
      hasS3 ? startS3() : undefined,
    ]);
    const provision = [LUTHIER, 'provision', '--nats', nats.url, '--user', 'admin', '--password', password];
    await promisify(execFile)(process.execPath, provision, { timeout: 120_000 });
    database = await postgres.createDatabase();
    dir = await tempDir('e2e-services');
    const artifacts = (await s3?.createBucket()) ?? pathToFileURL(join(dir, 'artifacts')).href;
    const port = await steadyPort();
    metricsPort = await steadyPort();
    services = SERVICES.map((name) =>
      startService(name, {
        LUTHIER_NATS_URL: nats.url,
        LUTHIER_NATS_USER: name,
        LUTHIER_NATS_PASSWORD: `${name}-${password}`,
        LUTHIER_DATABASE_URL: database.url,
        LUTHIER_ARTIFACTS: artifacts,
        LUTHIER_OTLP_URL: collector.url,
        ...s3?.environment,
        LUTHIER_WORK_DIR: join(dir, name),
        LUTHIER_HTTP_PORT: String(name === 'gateway' ? port : 0),
        ...(name === 'gateway' && { LUTHIER_METRICS_PORT: String(metricsPort) }),
      }),
    );
    url = `http://127.0.0.1:${port}`;
    await waitFor(
      async () => {
        const dead = services.find((service) => service.ended());
        if (dead) return true;
        const status = (await (await fetch(`${url}/api/v1/status`)).json()) as { ready?: boolean };
        return status.ready === true;
      },
      { timeoutMs: 150_000, intervalMs: 200, what: 'all services' },
    ).catch((cause: unknown) => {
      throw new Error(services.map((service) => service.said()).join('\n'), { cause });
    });
    expect(services.filter((service) => service.ended()).map((service) => service.said())).toEqual([]);
    apiKey = (await readFile(join(dir, 'gateway', 'api-key'), 'utf8')).trim();
  }, 200_000);
  afterAll(async () => {
    await Promise.all(services.map((service) => service.stop()));
    await collector.stop();
    await nats.stop();
    await postgres.stop();
    await s3?.stop();
  });

  it('the main job succeeds, and no service asks NATS for more than it may', async () => {
    const client = createClient({ baseUrl: url, apiKey });
    const { id } = await submitJob(client, { steps: 30, heldOut: true });
    const job = await waitForEnd(client, id);
    expect(job).toMatchObject({ status: 'succeeded', phase: 'done', error: null });
    await expectWholeAndSingle(client, job);
    const evaluation = await unwrap(
      client.GET('/api/v1/jobs/{job_id}/evaluation', { params: { path: { job_id: id } } }),
    );
    expect(evaluation).toMatchObject({ state: 'completed', error: null });
    for (const service of services) {
      const refused = service
        .said()
        .split('\n')
        .filter((line) => /permissions? violation/i.test(line));
      expect({ name: service.name, refused }).toEqual({ name: service.name, refused: [] });
    }
  });

  it('tells the figures of the gateway on a port of their own, where it has one, and nowhere else', async () => {
    const told = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    expect(told).toMatch(/^luthier_http_duration_seconds_count\{.*route="\/v1\/fine_tuning\/jobs"/m);
    expect((await fetch(`${url}/metrics`)).status).toBe(404);
  });

  it('shows one trace from the request that made the job to its attempt and its last phase', async () => {
    const { spans } = collector;
    const named = (wanted: string) =>
      waitFor(() => Promise.resolve(spans.find(({ name }) => name === wanted)), { what: `the span "${wanted}"` });
    // Each service sends what it has every few seconds: a quick job may be over before its request is told of.
    const [made, request] = [await named('evaluating'), await named('POST /v1/fine_tuning/jobs')];
    const ofJob = spans.filter(({ traceId }) => traceId === made.traceId);
    const creation = ofJob.find(({ name }) => name.endsWith('.create-job'));
    expect(request).toMatchObject({ service: 'gateway', traceId: made.traceId });
    expect(creation).toMatchObject({ service: 'training', parentSpanId: request.spanId });
    const shown = ofJob.filter(({ parentSpanId }) => parentSpanId === creation?.spanId);
    const phases = ['validating', 'preparing', 'planning', 'queued', 'training', 'registering', 'evaluating'];
    expect(shown.map(({ name }) => name)).toEqual(expect.arrayContaining([...phases, 'attempt 1']));
    for (const span of shown)
      expect(BigInt(span.endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(span.startTimeUnixNano));
  });

  it('brings the tables of a service up to date and ends, with --migrate', async () => {
    const env = { LUTHIER_DATABASE_URL: database.url, LUTHIER_ARTIFACTS: 'file:///none', LUTHIER_WORK_DIR: dir };
    const migrate = async (service: string): Promise<string> => {
      const program = fileURLToPath(new URL(`../../services/${service}/dist/main.js`, import.meta.url));
      return (await promisify(execFile)(process.execPath, [program, '--migrate'], { env })).stdout;
    };
    expect(await migrate('training')).toBe('training: the tables are up to date\n');
    expect(await migrate('trainer')).toBe('trainer: it has no tables\n');
  });

  it('kill -9 of a runner: a second attempt goes on from a checkpoint of the store', async () => {
    const client = createClient({ baseUrl: url, apiKey });
    const { id } = await submitJob(client, LONG_RUN);
    await waitForTraining(client, id);
    killFirst(await runnersIn(join(dir, 'trainer')));
    const job = await waitForEnd(client, id);
    expect(job).toMatchObject({ status: 'succeeded', attempts: [{ code: 'runtime.killed' }, { code: null }] });
    expect(job.attempts[1]?.resumed_from_step).toBeGreaterThan(0);
    await expectWholeAndSingle(client, job);
  });

  it('no service has logged where an object can be had without credentials', () => {
    for (const service of services) expect(service.said()).not.toMatch(/X-Amz-(Signature|Credential)/);
  });

  it('each ends in order when asked', async () => {
    const ends = await Promise.all(services.map(async (service) => [service.name, await service.stop()]));
    expect(ends).toEqual(SERVICES.map((name) => [name, 0]));
  });
});
