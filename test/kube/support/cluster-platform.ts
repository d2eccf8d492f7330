import { execFile } from 'node:child_process';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { createClient } from '@luthier/api-client';
import type { LuthierClient } from '@luthier/api-client';
import { SERVICES, capabilities } from '@luthier/contracts';
import { startNats, startPostgres, steadyPort, tempDir, waitFor } from '@luthier/testing';
import type { TestNats, TestPostgres } from '@luthier/testing';
import { FakeKubelet, bindRole, startControlPlane } from '@luthier/testing/kube';
import type { ControlPlane, FakeNode, Pod } from '@luthier/testing/kube';
import { jobOf, waitForEnd } from '../../e2e/support/jobs.js';
import type { Job } from '../../e2e/support/jobs.js';
import { startService } from '../../e2e/support/service-process.js';
import type { ServiceProcess } from '../../e2e/support/service-process.js';

const run = promisify(execFile);

export const program = (service: string): string =>
  fileURLToPath(new URL(`../../../services/${service}/dist/main.js`, import.meta.url));

export interface ClusterPlatformOptions {
  nodes: readonly FakeNode[];
  /** What its profile's pods run, as a run spec calls it, and the command. */
  runtime: { name: string; command: readonly string[] };
  /** Of the profile. */
  profile?: Readonly<Record<string, unknown>>;
  /** Of all services. */
  environment?: Readonly<Record<string, string>>;
}

/** All services as processes of their own, and a cluster whose pods are processes too: what an installation is. */
export class ClusterPlatform {
  private constructor(
    readonly cluster: ControlPlane,
    readonly kubelet: FakeKubelet,
    readonly namespace: string,
    readonly client: LuthierClient,
    private readonly parts: { dir: string; nats: TestNats; postgres: TestPostgres; services: ServiceProcess[] },
  ) {}

  static async start({ nodes, runtime, profile, environment }: ClusterPlatformOptions): Promise<ClusterPlatform> {
    const [cluster, nats, postgres] = await Promise.all([startControlPlane(), startNats(), startPostgres()]);
    const dir = await tempDir('kube-e2e');
    const artifacts = join(dir, 'artifacts');
    await mkdir(artifacts);
    const namespace = await cluster.createNamespace({ 'pod-security.kubernetes.io/enforce': 'restricted' });
    await cluster.createVolumeClaim({ namespace, name: 'artifacts', folder: artifacts });
    const kubelet = await FakeKubelet.start({
      ...{ api: cluster.api, dir: join(dir, 'pods'), fateOf: () => ({ type: 'process' }), nodes },
    });
    await run(process.execPath, [program('cli'), 'provision', '--nats', nats.url], { timeout: 120_000 });
    const [file = '', ...rest] = runtime.command;
    const { stdout } = await run(file, [...rest, 'capabilities'], { timeout: 120_000 });
    const whole = {
      ...{ name: 'cluster', runtime: runtime.name, image: `example.test/runtime@sha256:${'c'.repeat(64)}` },
      ...{ command: [process.execPath, program('runner')], runtimeCommand: runtime.command },
      ...{ capabilities: capabilities.parse(JSON.parse(stdout)), cpus: 1, memoryMib: 4_096, scratchMib: 1_024 },
      ...{ serviceAccount: 'default', artifactsClaim: 'artifacts', ...profile },
    };
    const role = new URL('../../../charts/luthier/files/trainer-role.yaml', import.meta.url);
    const { kubeconfig } = await bindRole(cluster, { namespace, account: 'trainer', file: role });
    const [port, endpointPort, database] = [await steadyPort(), await steadyPort(), await postgres.createDatabase()];
    const services = SERVICES.map((name) =>
      startService(name, {
        LUTHIER_NATS_URL: nats.url,
        LUTHIER_DATABASE_URL: database.url,
        LUTHIER_ARTIFACTS: pathToFileURL(artifacts).href,
        LUTHIER_WORK_DIR: join(dir, name),
        LUTHIER_HTTP_PORT: String(name === 'gateway' ? port : 0),
        LUTHIER_TRAINER_EXECUTOR: 'kubernetes',
        LUTHIER_TRAINER_CLUSTER: JSON.stringify({ namespace, kubeconfig, profiles: [whole] }),
        LUTHIER_TRAINER_ENDPOINT_PORT: String(endpointPort),
        ...environment,
      }),
    );
    const baseUrl = `http://127.0.0.1:${port}`;
    await ready(baseUrl, services);
    const apiKey = (await readFile(join(dir, 'gateway', 'api-key'), 'utf8')).trim();
    const client = createClient({ baseUrl, apiKey });
    return new ClusterPlatform(cluster, kubelet, namespace, client, { dir, nats, postgres, services });
  }

  /** @throws Error with the end of what the services have logged when it does not come in time. */
  waitForEnd(jobId: string, timeoutMs?: number): Promise<Job> {
    return waitForEnd(this.client, jobId, timeoutMs).catch((cause: unknown) => {
      throw new Error(saidBy(this.parts.services).slice(-8_000), { cause });
    });
  }

  /** Of one attempt of a job's run. */
  async podsOf(jobId: string, attempt: number): Promise<Pod[]> {
    const { run_id: runId } = await jobOf(this.client, jobId);
    const labelSelector = `luthier.dev/run-id=${runId},luthier.dev/attempt=${attempt}`;
    const path = `/api/v1/namespaces/${this.namespace}/pods`;
    return (await this.cluster.api.get<{ items: Pod[] }>(path, { labelSelector })).items;
  }

  async stop(): Promise<void> {
    const { dir, nats, postgres, services } = this.parts;
    await Promise.all(services.map((service) => service.stop()));
    await this.kubelet.stop();
    await this.cluster.stop();
    await nats.stop();
    await postgres.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

const saidBy = (services: readonly ServiceProcess[]): string => services.map((service) => service.said()).join('\n');

async function ready(url: string, services: readonly ServiceProcess[]): Promise<void> {
  const look = async (): Promise<boolean> => {
    if (services.some((service) => service.ended())) return true;
    const status = (await (await fetch(`${url}/api/v1/status`)).json()) as { ready?: boolean };
    return status.ready === true;
  };
  await waitFor(look, { timeoutMs: 240_000, intervalMs: 200, what: 'all services' }).catch((cause: unknown) => {
    throw new Error(saidBy(services), { cause });
  });
  if (services.some((service) => service.ended())) throw new Error(saidBy(services));
}
