import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beat, registerNode } from './fake-nodes.js';
import type { FakeNode } from './fake-nodes.js';
import { ifFound } from './kube-api.js';
import type { KubeApi } from './kube-api.js';
import type { Condition, ContainerState, Pod } from './objects.js';
import { PodProcess } from './pod-process.js';

/** What becomes of a pod. */
export type Fate =
  /** Its command runs as a process of this machine. */
  | { type: 'process' }
  /** It runs until it is told to go. */
  | { type: 'run' }
  /** It runs for a while and ends so. */
  | {
      type: 'end';
      exitCode: number;
      afterMs?: number;
      reason?: string;
      message?: string;
      podReason?: string;
      conditions?: Condition[];
    }
  /** It never runs. */
  | { type: 'wait'; reason: string; message?: string };

export interface FakeKubeletOptions {
  api: KubeApi;
  nodes: readonly FakeNode[];
  /** Folder for the volumes and logs of processes. */
  dir: string;
  fateOf: (pod: Pod) => Fate;
}

const LOOK_MS = 100;
const BEAT_MS = 2_000;

interface Known {
  process?: PodProcess;
  over?: boolean;
  told?: boolean;
}

/** Plays the kubelets of some nodes. Pods of its nodes are looked at every 100 ms. */
export class FakeKubelet {
  private readonly known = new Map<string, Known>();
  private readonly silent = new Set<string>();
  private readonly ended = new AbortController();
  private loops: Promise<void>[] = [];

  private constructor(private readonly options: FakeKubeletOptions) {}

  static async start(options: FakeKubeletOptions): Promise<FakeKubelet> {
    for (const node of options.nodes) await registerNode(options.api, node);
    const kubelet = new FakeKubelet(options);
    kubelet.loops = [kubelet.every(LOOK_MS, () => kubelet.look()), kubelet.every(BEAT_MS, () => kubelet.beat())];
    return kubelet;
  }

  /** The node stops answering; its processes go on. */
  silence(node: string): void {
    this.silent.add(node);
  }

  async stop(): Promise<void> {
    this.ended.abort();
    for (const { process } of this.known.values()) process?.signal('SIGKILL');
    await Promise.all(this.loops);
    for (const { name } of this.options.nodes) {
      await ifFound(this.options.api.delete(`/api/v1/nodes/${name}`));
    }
  }

  /** The API may be away for a while: then nothing is told until it is back. */
  private async every(pauseMs: number, work: () => Promise<void>): Promise<void> {
    const { signal } = this.ended;
    while (!signal.aborted) {
      await work().catch(() => undefined);
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }

  private async beat(): Promise<void> {
    for (const { name } of this.options.nodes) if (!this.silent.has(name)) await beat(this.options.api, name);
  }

  private async look(): Promise<void> {
    const { items } = await this.options.api.get<{ items: Pod[] }>('/api/v1/pods', { limit: 500 });
    const names = new Set(this.options.nodes.map(({ name }) => name));
    for (const pod of items) {
      const node = pod.spec.nodeName ?? '';
      if (!names.has(node) || this.silent.has(node)) continue;
      const known = this.known.get(pod.metadata.uid);
      if (!known) {
        this.known.set(pod.metadata.uid, {});
        void this.begin(pod).catch(() => this.known.delete(pod.metadata.uid)); // tried again at the next look
      }
      if (pod.metadata.deletionTimestamp !== undefined && known) await this.letGo(pod, known);
    }
  }

  private async begin(pod: Pod): Promise<void> {
    const fate = this.options.fateOf(pod);
    if (fate.type === 'wait') {
      const { reason, message } = fate;
      return this.tell(pod, 'Pending', { waiting: { reason, ...(message !== undefined && { message }) } });
    }
    const running: ContainerState = { running: { startedAt: new Date().toISOString() } };
    if (fate.type === 'process') {
      const started = await PodProcess.start(this.options.api, pod, join(this.options.dir, pod.metadata.uid));
      this.known.set(pod.metadata.uid, { process: started });
      void started.ended.then(({ exitCode, message }) => this.end(pod, { type: 'end', exitCode, message }));
      return this.tell(pod, 'Running', running);
    }
    await this.tell(pod, 'Running', running);
    if (fate.type === 'run') return;
    await sleep(fate.afterMs ?? 200, undefined, { signal: this.ended.signal });
    await this.end(pod, fate);
  }

  private async letGo(pod: Pod, known: Known): Promise<void> {
    if (known.process && known.over !== true) {
      if (known.told === true) return;
      known.told = true;
      known.process.signal('SIGTERM');
      const graceMs = (pod.metadata.deletionGracePeriodSeconds ?? 30) * 1_000;
      setTimeout(() => known.process?.signal('SIGKILL'), graceMs).unref();
      return;
    }
    if (known.over !== true) await this.end(pod, { type: 'end', exitCode: 137 });
    const { namespace, name } = pod.metadata;
    await ifFound(this.options.api.delete(`/api/v1/namespaces/${namespace}/pods/${name}?gracePeriodSeconds=0`));
  }

  private async end(pod: Pod, fate: Fate & { type: 'end' }): Promise<void> {
    const { exitCode, reason, message, podReason, conditions } = fate;
    const terminated = {
      ...{ exitCode, reason: reason ?? (exitCode === 0 ? 'Completed' : 'Error') },
      ...{ message: message ?? '', finishedAt: new Date().toISOString() },
    };
    const known = this.known.get(pod.metadata.uid) ?? {};
    this.known.set(pod.metadata.uid, { ...known, over: true });
    for (let tries = 0; tries < 50 && !this.ended.signal.aborted; tries++) {
      try {
        await this.tell(pod, exitCode === 0 ? 'Succeeded' : 'Failed', { terminated }, { podReason, conditions });
        return;
      } catch {
        await sleep(LOOK_MS * 2);
      }
    }
  }

  private async tell(
    { metadata, spec }: Pod,
    phase: string,
    state: ContainerState,
    { podReason, conditions = [] }: { podReason?: string | undefined; conditions?: Condition[] | undefined } = {},
  ): Promise<void> {
    const ready = state.running !== undefined;
    const scheduled = { type: 'PodScheduled', status: 'True' };
    await ifFound(
      this.options.api.mergePatch(`/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}/status`, {
        status: {
          ...{ phase, hostIP: '127.0.0.1', startTime: new Date().toISOString() },
          ...(podReason !== undefined && { reason: podReason }),
          conditions: [scheduled, { type: 'Ready', status: ready ? 'True' : 'False' }, ...conditions],
          containerStatuses: spec.containers.map(({ name, image = '' }) => ({
            ...{ name, image, imageID: image, ready, started: ready, restartCount: 0, state },
          })),
        },
      }),
    );
  }
}
