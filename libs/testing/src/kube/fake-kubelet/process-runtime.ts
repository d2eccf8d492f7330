import { existsSync } from 'node:fs';
import { chmod, mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { KubeApi } from '../kube-api.js';
import type { Container, Pod, Service } from '../objects.js';
import { hostsFile } from './cluster-names.js';
import type { NamedPod } from './cluster-names.js';
import { CannotStart } from './container-run.js';
import type { ContainerRun } from './container-run.js';
import { environmentOf } from './environment.js';
import type { PodPlace } from './field-ref.js';
import { commandLine, imageOf } from './image-table.js';
import type { ImageTable } from './image-table.js';
import { MountNamespace, whyNoNamespaces } from './mount-namespace.js';
import type { Mount } from './mount-plan.js';
import type { PodRuntime } from './pod-worker.js';
import { ProcessContainer } from './process-container.js';
import { provideVolume } from './volumes.js';
import type { VolumeTables } from './volumes.js';

/** What stands in for a cluster around the pods' processes. */
export interface ProcessTables extends VolumeTables {
  images?: ImageTable;
  /** Names that pods can ask for besides those of pods and services: `{ 'luthier-trainer.luthier.svc': '127.0.0.1' }` */
  hosts?: Readonly<Record<string, string>>;
}

export interface ProcessRuntimeOptions {
  api: KubeApi;
  pod: Pod;
  place: PodPlace;
  /** A folder of the pod's own. */
  dir: string;
  tables: ProcessTables;
  /** Who can be found by name now. */
  neighbours: () => { pods: readonly NamedPod[]; services: readonly Service[] };
}

/** Runs the containers of one pod as processes of this machine. What it changes about them: `SUBSTITUTIONS`. */
export class ProcessRuntime implements PodRuntime {
  readonly probes = true;
  private readonly volumes = new Map<string, string>();
  private readonly hosts: string;
  private number = 0;
  private renewing: Promise<void> = Promise.resolve();

  constructor(private readonly options: ProcessRuntimeOptions) {
    this.hosts = join(options.dir, 'hosts');
  }

  get podIP(): string {
    return this.options.place.podIP;
  }

  async prepare(): Promise<void> {
    const { api, pod, place, dir, tables } = this.options;
    const missing = await whyNoNamespaces();
    if (missing !== undefined) throw new CannotStart('CreateContainerError', `this machine lacks ${missing}`);
    await mkdir(join(dir, 'volumes'), { recursive: true });
    for (const volume of pod.spec.volumes ?? []) {
      const own = join(dir, 'volumes', volume.name);
      this.volumes.set(volume.name, await provideVolume({ api, pod, place, tables }, volume, own));
    }
    await this.renewNames();
  }

  /** Writes /etc/hosts anew, one time after the other and each with the names of its moment: the last one stands. */
  renewNames(): Promise<void> {
    const renewed = this.renewing.then(() => this.writeNames());
    this.renewing = renewed.catch(() => undefined);
    return renewed;
  }

  /** Into the same file: it is mounted. */
  private async writeNames(): Promise<void> {
    const { pod, place, tables, neighbours } = this.options;
    const { namespace } = pod.metadata;
    const { pods, services } = neighbours();
    const self = { hostname: hostnameOf(pod), namespace, podIP: place.podIP };
    const text = Buffer.from(hostsFile(self, pods, services, { ...tables.hosts }));
    const file = await open(this.hosts, 'a+').then(async (made) => (await made.close(), open(this.hosts, 'r+')));
    try {
      await file.write(text, 0, text.length, 0);
      await file.truncate(text.length);
    } finally {
      await file.close();
    }
  }

  async start(container: Container): Promise<ContainerRun> {
    const { api, pod, place, dir, tables } = this.options;
    const image = imageOf(tables.images ?? {}, container);
    const environment = await environmentOf(api, pod, container, place, this.baseEnvironment(image.env));
    const own = join(dir, 'containers', `${container.name}-${this.number++}`);
    await mkdir(own, { recursive: true });
    const messageFile = join(own, 'termination-log');
    await writeFile(messageFile, '');
    await chmod(messageFile, 0o666);
    const namespace = await MountNamespace.create(own, {
      hostname: hostnameOf(pod),
      workingDir: container.workingDir ?? image.workingDir ?? '/',
      mounts: [
        { at: '/etc/hosts', from: this.hosts },
        { at: container.terminationMessagePath ?? '/dev/termination-log', from: messageFile },
        ...Object.entries(image.folders ?? {}).map(([at, from]) => ({ at, from })),
        ...(await this.mountsOf(container, environment)),
      ],
    });
    return new ProcessContainer({
      namespace,
      command: commandLine(image, container, environment),
      environment,
      messageFile,
      ...(image.stopSignal && { stopSignal: image.stopSignal }),
      messageFromLog: container.terminationMessagePolicy === 'FallbackToLogsOnError',
    });
  }

  async remove(): Promise<void> {
    await this.renewing;
    await rm(this.options.dir, { recursive: true, force: true });
  }

  private async mountsOf(container: Container, environment: Readonly<Record<string, string>>): Promise<Mount[]> {
    const mounts: Mount[] = [];
    for (const { name, mountPath, subPath, readOnly } of container.volumeMounts ?? []) {
      const folder = this.volumes.get(name);
      if (folder === undefined) throw new CannotStart('CreateContainerConfigError', `there is no volume "${name}"`);
      const from =
        subPath === undefined ? folder : join(folder, subPath.replaceAll('$(HOSTNAME)', environment['HOSTNAME'] ?? ''));
      if (subPath !== undefined && !existsSync(from)) await mkdir(from, { recursive: true });
      mounts.push({ at: mountPath, from, ...(readOnly === true && { readOnly }) });
    }
    return mounts;
  }

  /** What a container has before its pod says anything. */
  private baseEnvironment(image: Readonly<Record<string, string>> = {}): Record<string, string> {
    const { api, pod, place } = this.options;
    const server = new URL(api.url);
    return {
      PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
      HOME: '/root',
      ...image,
      HOSTNAME: hostnameOf(pod),
      KUBERNETES_SERVICE_HOST: server.hostname,
      KUBERNETES_SERVICE_PORT: server.port,
      LUTHIER_BIND_ADDRESS: place.podIP,
    };
  }
}

const hostnameOf = ({ metadata, spec }: Pod): string => spec.hostname ?? metadata.name.slice(0, 63);
