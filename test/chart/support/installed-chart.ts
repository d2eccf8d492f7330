import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { createClient } from '@luthier/api-client';
import type { LuthierClient } from '@luthier/api-client';
import { tempDir } from '@luthier/testing';
import { ifFound, startControlPlane } from '@luthier/testing/kube';
import type { ControlPlane, FakeKubelet, Pod, ServiceDoor } from '@luthier/testing/kube';
import { CHART, helm, valuesOf } from './helm.js';
import { localImages } from './images.js';

const OWN_VALUES = fileURLToPath(new URL('./installed-values.yaml', import.meta.url));
const STORAGE = '200Gi';
/** For what hangs; a machine may be slow. */
const HELM_TIMEOUT = '8m';

/** Of the images: what the chart names by itself, and what it is upgraded to. */
export const FIRST_TAG = (parse(await readFile(join(CHART, 'Chart.yaml'), 'utf8')) as { appVersion: string })
  .appVersion;
export const SECOND_TAG = 'next';

/** A release of the chart in a cluster whose nodes run every pod's program. */
export class InstalledChart {
  readonly release = 'luthier';

  private constructor(
    readonly cluster: ControlPlane,
    readonly kubelet: FakeKubelet,
    readonly namespace: string,
    private readonly dir: string,
  ) {}

  /** The cluster as an administrator has it before: a restricted namespace, and volumes for the claims that will be made. */
  static async prepare(): Promise<InstalledChart> {
    const [cluster, dir, images] = await Promise.all([
      startControlPlane(),
      tempDir('chart'),
      localImages([FIRST_TAG, SECOND_TAG]),
    ]);
    const kubelet = await cluster.startKubelet({
      ...{ nodes: ['chart-1', 'chart-2'].map((name) => ({ name, gpus: 0 })), images },
      ...{ fateOf: () => ({ type: 'process' }), restartBackoffMs: 1_000 },
    });
    const namespace = await cluster.createNamespace({ 'pod-security.kubernetes.io/enforce': 'restricted' });
    const chart = new InstalledChart(cluster, kubelet, namespace, dir);
    const servers = [0, 1, 2].map((number) => `data-luthier-nats-${number}`);
    for (const name of ['luthier-artifacts', 'data-luthier-postgres-0', ...servers])
      await cluster.createVolume({ namespace, name, folder: await chart.folder(name), storage: STORAGE });
    const artifacts = await chart.folder('luthier-artifacts');
    await cluster.createVolume({ namespace: chart.runs, name: 'artifacts', folder: artifacts, storage: STORAGE });
    return chart;
  }

  /** The namespace of runs. */
  get runs(): string {
    return `${this.namespace}-runs`;
  }

  install(...more: readonly string[]): Promise<string> {
    return this.helm('install', this.release, CHART, ...this.values(), '--wait', '--timeout', HELM_TIMEOUT, ...more);
  }

  upgrade(...more: readonly string[]): Promise<string> {
    return this.helm('upgrade', this.release, CHART, ...this.values(), '--wait', '--timeout', HELM_TIMEOUT, ...more);
  }

  rollback(revision: number): Promise<string> {
    return this.helm('rollback', this.release, String(revision), '--wait', '--timeout', HELM_TIMEOUT);
  }

  /** `helm test`; its pod is gone when it has succeeded. */
  test(): Promise<string> {
    return this.helm('test', this.release, '--logs', '--timeout', HELM_TIMEOUT);
  }

  uninstall(): Promise<string> {
    return this.helm('uninstall', this.release, '--wait', '--timeout', HELM_TIMEOUT);
  }

  helm(...args: readonly string[]): Promise<string> {
    return helm(...args, '--namespace', this.namespace, '--kubeconfig', this.cluster.kubeconfig);
  }

  /** What an administrator makes in the namespace of runs: the claim of the artifacts' volume there. */
  async claimArtifactsForRuns(): Promise<void> {
    await this.cluster.api.post(`/api/v1/namespaces/${this.runs}/persistentvolumeclaims`, {
      metadata: { name: 'artifacts' },
      spec: {
        ...{ accessModes: ['ReadWriteMany'], storageClassName: '', volumeName: `${this.runs}-artifacts` },
        resources: { requests: { storage: STORAGE } },
      },
    });
  }

  /** A way through the gateway's Service. */
  door(): Promise<ServiceDoor> {
    return this.kubelet.openService(this.namespace, 'luthier-gateway');
  }

  async client({ host, port }: ServiceDoor): Promise<LuthierClient> {
    const { 'api-key': apiKey = '' } = await this.secret('luthier-api-key');
    return createClient({ baseUrl: `http://${host}:${port}`, apiKey });
  }

  async secret(name: string): Promise<Record<string, string>> {
    const path = `/api/v1/namespaces/${this.namespace}/secrets/${name}`;
    const { data } = await this.cluster.api.get<{ data: Record<string, string> }>(path);
    return Object.fromEntries(
      Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
    );
  }

  readonly pods = async (namespace = this.namespace, labelSelector?: string): Promise<Pod[]> => {
    const query = labelSelector === undefined ? {} : { labelSelector };
    return (await this.cluster.api.get<{ items: Pod[] }>(`/api/v1/namespaces/${namespace}/pods`, query)).items;
  };

  /** The end of what each pod of the release has logged, for the message of a failure. */
  async said(): Promise<string> {
    const logs = (await this.pods()).map(async ({ metadata: { name }, status }) => {
      const path = `/api/v1/namespaces/${this.namespace}/pods/${name}/log`;
      const text = await this.cluster.api.text(path, { tailLines: 15 }).catch(String);
      return `== ${name}: ${status?.phase} ${JSON.stringify(status?.containerStatuses?.[0]?.state)}\n${text}`;
    });
    return (await Promise.all(logs)).join('\n');
  }

  async stop(): Promise<void> {
    await ifFound(this.cluster.api.delete(`/api/v1/namespaces/${this.runs}`));
    await this.cluster.stop();
    await rm(this.dir, { recursive: true, force: true });
  }

  private values(): string[] {
    return ['--values', valuesOf('minimal'), '--values', OWN_VALUES, '--set', `runs.namespace=${this.runs}`];
  }

  private async folder(name: string): Promise<string> {
    const folder = join(this.dir, name);
    await mkdir(folder, { recursive: true });
    return folder;
  }
}
