import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { createClient, unwrap } from '@luthier/api-client';
import { SERVICES, capabilities } from '@luthier/contracts';
import { freePort } from '@luthier/local-servers';
import { startNats, startPostgres, tempDir, waitFor } from '@luthier/testing';
import type { TestNats, TestPostgres } from '@luthier/testing';
import { FakeKubelet, bindRole, canRunKubernetes, startControlPlane } from '@luthier/testing/kube';
import type { ControlPlane, Pod } from '@luthier/testing/kube';
import {
  LONG_RUN,
  expectWholeAndSingle,
  jobOf,
  submitJob,
  waitForEnd,
  waitForJob,
  waitForTraining,
} from '../e2e/support/jobs.js';
import { startService } from '../e2e/support/service-process.js';
import type { ServiceProcess } from '../e2e/support/service-process.js';

const program = (service: string): string =>
  fileURLToPath(new URL(`../../services/${service}/dist/main.js`, import.meta.url));
const run = promisify(execFile);
const inCluster = (await canRunKubernetes()) ? describe : describe.skip;

inCluster('the platform with a cluster to train in', () => {
  let cluster: ControlPlane;
  let kubelet: FakeKubelet;
  let nats: TestNats;
  let postgres: TestPostgres;
  let services: ServiceProcess[] = [];
  let namespace: string;
  let url: string;
  let apiKey: string;
  beforeAll(async () => {
    [cluster, nats, postgres] = await Promise.all([startControlPlane(), startNats(), startPostgres()]);
    const dir = await tempDir('kube-e2e');
    const artifacts = join(dir, 'artifacts');
    await mkdir(artifacts);
    namespace = await cluster.createNamespace({ 'pod-security.kubernetes.io/enforce': 'restricted' });
    await cluster.createVolumeClaim({ namespace, name: 'artifacts', folder: artifacts });
    kubelet = await FakeKubelet.start({
      ...{ api: cluster.api, dir: join(dir, 'pods'), fateOf: () => ({ type: 'process' }) },
      nodes: ['main-job-1', 'main-job-2'].map((name) => ({ name, gpus: 0 })),
    });
    await run(process.execPath, [program('cli'), 'provision', '--nats', nats.url], { timeout: 20_000 });
    const runtime = [process.execPath, program('runtime-node')];
    const { stdout } = await run(process.execPath, [program('runtime-node'), 'capabilities'], { timeout: 30_000 });
    const profile = {
      ...{ name: 'cluster-cpu', runtime: 'runtime-node', image: `example.test/node@sha256:${'c'.repeat(64)}` },
      ...{ command: [process.execPath, program('runner')], runtimeCommand: runtime, serviceAccount: 'default' },
      ...{ capabilities: capabilities.parse(JSON.parse(stdout)), cpus: 1, memoryMib: 4_096, scratchMib: 1_024 },
      artifactsClaim: 'artifacts',
    };
    const file = new URL('../../charts/luthier/files/trainer-role.yaml', import.meta.url);
    const { kubeconfig } = await bindRole(cluster, { namespace, account: 'trainer', file });
    const settings = { namespace, kubeconfig, profiles: [profile] };
    const port = await freePort();
    const endpointPort = await freePort();
    const database = await postgres.createDatabase();
    services = SERVICES.map((name) =>
      startService(name, {
        LUTHIER_NATS_URL: nats.url,
        LUTHIER_DATABASE_URL: database.url,
        LUTHIER_ARTIFACTS: pathToFileURL(artifacts).href,
        LUTHIER_WORK_DIR: join(dir, name),
        LUTHIER_HTTP_PORT: String(name === 'gateway' ? port : 0),
        LUTHIER_TRAINER_EXECUTOR: 'kubernetes',
        LUTHIER_TRAINER_CLUSTER: JSON.stringify(settings),
        LUTHIER_TRAINER_ENDPOINT_PORT: String(endpointPort),
      }),
    );
    url = `http://127.0.0.1:${port}`;
    await waitFor(
      async () => {
        if (services.some((service) => service.ended())) return true;
        const status = (await (await fetch(`${url}/api/v1/status`)).json()) as { ready?: boolean };
        return status.ready === true;
      },
      { timeoutMs: 240_000, intervalMs: 200, what: 'all services' },
    ).catch((cause: unknown) => {
      throw new Error(services.map((service) => service.said()).join('\n'), { cause });
    });
    apiKey = (await readFile(join(dir, 'gateway', 'api-key'), 'utf8')).trim();
  }, 900_000);
  afterAll(async () => {
    await Promise.all(services.map((service) => service.stop()));
    await kubelet.stop();
    await cluster.stop();
    await nats.stop();
    await postgres.stop();
  }, 90_000);

  it('trains the main job in a pod of a restricted namespace, and ends with a model and an evaluation', async () => {
    const client = createClient({ baseUrl: url, apiKey });
    const { id } = await submitJob(client, { steps: 20, heldOut: true });
    const job = await waitForEnd(client, id, 240_000).catch((cause: unknown) => {
      throw new Error(
        services
          .map((service) => service.said())
          .join('\n')
          .slice(-8_000),
        { cause },
      );
    });
    expect(job).toMatchObject({ status: 'succeeded', phase: 'done', error: null });
    await expectWholeAndSingle(client, job);
    const params = { path: { job_id: id }, query: { limit: 200 } };
    const { data } = await unwrap(client.GET('/v1/fine_tuning/jobs/{job_id}/events', { params }));
    const said = data.filter((event) => event.data?.['source'] === 'kubernetes').reverse();
    expect(said).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ message: 'A pod has been made for the run.', level: 'info' }),
        expect.objectContaining({
          message: 'A pod of the run has got node "main-job-1".',
          data: expect.objectContaining({ what: 'Pod.Scheduled', attempt: 1, count: 1 }),
        }),
      ]),
    );
    // In order: each before what follows from it, and all of it before the end.
    const messages = data.map(({ message }) => message).reverse();
    const at = (text: RegExp): number => messages.findIndex((message) => text.test(message));
    const order = [/^A pod has been made/, /has got node/, /^Training started/, /^The job has success/].map(at);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(order).not.toContain(-1);
  }, 360_000);

  it('leaves no object of a finished run in the cluster', async () => {
    await waitFor(async () => {
      const jobs = await cluster.api.get<{ items: unknown[] }>(`/apis/batch/v1/namespaces/${namespace}/jobs`);
      return jobs.items.length === 0;
    });
  }, 60_000);

  it('gives its place back while a job is paused, and goes on from where it was when it is resumed', async () => {
    const client = createClient({ baseUrl: url, apiKey });
    const { id } = await submitJob(client, LONG_RUN);
    await waitForTraining(client, id);
    const params = { path: { job_id: id } };
    await unwrap(client.POST('/v1/fine_tuning/jobs/{job_id}/pause', { params }));
    await waitForJob(client, id, ({ status }) => status === 'paused', 30_000);
    const { items } = await cluster.api.get<{ items: Pod[] }>(`/api/v1/namespaces/${namespace}/pods`);
    expect(items.map(({ status }) => status?.phase)).toEqual(['Failed']); // left with 60: no place is taken
    await unwrap(client.POST('/v1/fine_tuning/jobs/{job_id}/resume', { params }));
    const job = await waitForEnd(client, id, 240_000);
    expect(job).toMatchObject({ status: 'succeeded', phase: 'done' });
    expect(job.attempts[1]?.resumed_from_step).toBeGreaterThan(0);
    await expectWholeAndSingle(client, job);
  }, 360_000);

  it('goes on from its checkpoint on another node when it is restarted, and is charged nothing', async () => {
    const client = createClient({ baseUrl: url, apiKey });
    const { id } = await submitJob(client, LONG_RUN);
    await waitForTraining(client, id);
    const podsOf = async (attempt: number): Promise<Pod[]> => {
      const { run_id: runId } = await jobOf(client, id);
      const labelSelector = `luthier.dev/run-id=${runId},luthier.dev/attempt=${attempt}`;
      return (await cluster.api.get<{ items: Pod[] }>(`/api/v1/namespaces/${namespace}/pods`, { labelSelector })).items;
    };
    const [first] = await podsOf(1);
    const restart = (attempt: number) =>
      unwrap(
        client.POST('/v1/fine_tuning/jobs/{job_id}/restart', { params: { path: { job_id: id } }, body: { attempt } }),
      );
    await restart(1);
    await restart(1);
    const second = await waitFor(async () => (await podsOf(2)).find(({ spec }) => spec.nodeName !== undefined), {
      timeoutMs: 60_000,
      what: 'the pod of the second attempt',
    });
    expect(second.spec.nodeName).not.toBe(first?.spec.nodeName);
    await restart(1); // it has ended: the second goes on
    const job = await waitForEnd(client, id, 240_000);
    expect(job).toMatchObject({ status: 'succeeded', attempts: [{ attempt: 1 }, { attempt: 2 }] });
    expect(job.attempts[1]?.resumed_from_step).toBeGreaterThan(0);
    await expectWholeAndSingle(client, job);
  }, 360_000);
});
