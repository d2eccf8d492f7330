import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeApi } from '../kube-api.js';
import type { Pod, Service } from '../objects.js';
import { FakeNodes } from './fake-nodes.js';
import type { FakeNode } from './fake-node.js';
import type { ChooseFate, ScriptedEnd } from './fate.js';
import { followObjects } from './follow-objects.js';
import { startKubeletServer } from './kubelet-server.js';
import type { FindLog, KubeletServer } from './kubelet-server.js';
import { PodWorker } from './pod-worker.js';
import type { PodRuntime } from './pod-worker.js';
import { ProcessRuntime } from './process-runtime.js';
import type { ProcessTables } from './process-runtime.js';
import { ScriptedRuntime } from './scripted-runtime.js';
import { openServiceDoor } from './service-door.js';
import type { ServiceDoor } from './service-door.js';

export interface FakeKubeletOptions extends ProcessTables {
  api: KubeApi;
  nodes: readonly FakeNode[];
  /** What becomes of a pod that is bound to one of the nodes. Asked once for every pod. */
  fateOf: ChooseFate;
  /** For volumes and mounts of processes; must be there as long as the kubelet. */
  dir: string;
  /** PEM texts to serve logs with; without them there are no logs. */
  certificate?: { cert: string; key: string };
  /** How often nodes say that they live. @default 1000 */
  heartbeatMs?: number;
  /** Before a container is started again; doubles. @default 10000, as a kubelet */
  restartBackoffMs?: number;
}

/** A pod that is ours, and what it runs in. */
interface Local {
  pod: Pod;
  worker: PodWorker;
  runtime: PodRuntime;
}

/**
 * Plays the kubelets of some nodes: registers them, keeps them alive, and lets every pod bound to them meet the fate
 * that the test chooses, up to running its commands as processes of this machine.
 */
export class FakeKubelet {
  private readonly ended = new AbortController();
  private readonly local = new Map<string, Local>();
  private readonly starting = new Set<string>();
  private readonly doors: ServiceDoor[] = [];
  private services: readonly Service[] = [];
  private newest = new Map<string, Pod>();
  private loops: Promise<unknown>[] = [];
  /** 127.x.y.z: another x for each kubelet, so that those of two test runs seldom meet. */
  private readonly net = randomInt(2, 255);
  private hosts = 0;

  private constructor(
    private readonly options: FakeKubeletOptions,
    private readonly nodes: FakeNodes,
    private readonly server: KubeletServer | undefined,
  ) {}

  static async start(options: FakeKubeletOptions): Promise<FakeKubelet> {
    const find: { log?: FindLog } = {};
    const notYet: FindLog = () => ({ status: 503, message: 'starting' });
    const server =
      options.certificate && (await startKubeletServer(options.certificate, (...ask) => (find.log ?? notYet)(...ask)));
    const nodes = new FakeNodes(options.api, server?.port ?? 0);
    const kubelet = new FakeKubelet(options, nodes, server);
    find.log = (...ask) => kubelet.findLog(...ask);
    for (const node of options.nodes) await nodes.add(node);
    const { signal } = kubelet.ended;
    const pods = { onList: kubelet.onPods.bind(kubelet), onChange: kubelet.onPod.bind(kubelet) };
    const services = { onList: kubelet.onServices.bind(kubelet), onChange: kubelet.onService.bind(kubelet) };
    kubelet.loops = [
      kubelet.keepAlive(),
      followObjects<Pod>(options.api, '/api/v1/pods', pods, signal),
      followObjects<Service>(options.api, '/api/v1/services', services, signal),
    ];
    return kubelet;
  }

  addNode(node: FakeNode): Promise<void> {
    return this.nodes.add(node);
  }

  /** For instance a GPU that has failed: `setAllocatable('gpu-1', 'nvidia.com/gpu', '7')`. */
  setAllocatable(node: string, resource: string, amount: string): Promise<void> {
    return this.nodes.setAllocatable(node, resource, amount);
  }

  /** The node is cut off: it says nothing, hears nothing, serves no logs; what runs there goes on. */
  silence(node: string): void {
    this.nodes.setOnline(node, false);
  }

  /** It is there again, tells what has happened and hears what it missed. */
  async restore(node: string): Promise<void> {
    this.nodes.setOnline(node, true);
    await this.nodes.beat();
    for (const [uid, { pod, worker }] of this.local) {
      if (pod.spec.nodeName !== node) continue;
      const now = this.newest.get(uid);
      worker.report();
      if (now) worker.observe(now);
      else void this.forget(uid);
    }
    for (const pod of this.newest.values()) this.take(pod);
  }

  /** The machine is gone for good, with what ran there. */
  async removeNode(node: string): Promise<void> {
    this.nodes.setOnline(node, false);
    for (const [uid, { pod }] of this.local) if (pod.spec.nodeName === node) await this.forget(uid);
    await this.nodes.remove(node);
  }

  /** Ends a pod now: `end(pod, evicted())`, `end(pod, { exitCode: 137, reason: 'OOMKilled' })`. */
  async end(pod: { metadata: { uid: string } }, end: ScriptedEnd): Promise<void> {
    await this.localOf(pod.metadata.uid).worker.end(end);
  }

  /** The first process of a container, as this machine numbers it. */
  pidOf(pod: { metadata: { uid: string } }, container: string): number | undefined {
    return this.localOf(pod.metadata.uid).worker.slot(container)?.run?.pid;
  }

  /** A way into a Service, to its first port, from where the test is. */
  async openService(namespace: string, name: string): Promise<ServiceDoor> {
    const door = await openServiceDoor(() => {
      const { pods, services } = this.neighbours();
      const is = ({ metadata }: Service): boolean => metadata.namespace === namespace && metadata.name === name;
      return { service: services.find(is), pods };
    });
    this.doors.push(door);
    return door;
  }

  /** Adds text to the log of a container of which a script is played. */
  writeLog(pod: { metadata: { uid: string } }, container: string, text: string): void {
    this.localOf(pod.metadata.uid).worker.slot(container)?.run?.log.write('stdout', text);
  }

  /** Ends what runs, removes the nodes. */
  async stop(): Promise<void> {
    this.ended.abort();
    await Promise.all(this.doors.map((door) => door.close()));
    await Promise.all([...this.local.keys()].map((uid) => this.forget(uid)));
    await Promise.all(this.loops);
    await this.nodes.removeAll();
    await this.server?.close();
  }

  private async keepAlive(): Promise<void> {
    const { signal } = this.ended;
    while (!signal.aborted) {
      await this.nodes.beat().catch(() => undefined); // the API is away: the next time
      await sleep(this.options.heartbeatMs ?? 1_000, undefined, { signal }).catch(() => undefined);
    }
  }

  private onPods(pods: readonly Pod[]): void {
    this.newest = new Map();
    for (const pod of pods) this.onPod(pod, false);
    for (const [uid, { pod }] of this.local)
      if (!this.newest.has(uid) && this.nodes.isOnline(pod.spec.nodeName)) void this.forget(uid);
  }

  private onPod(pod: Pod, deleted: boolean): void {
    const { uid } = pod.metadata;
    if (!this.nodes.has(pod.spec.nodeName)) return;
    if (deleted) {
      this.newest.delete(uid);
      if (this.nodes.isOnline(pod.spec.nodeName)) void this.forget(uid);
      return;
    }
    this.newest.set(uid, pod);
    this.take(pod);
  }

  private onServices(services: readonly Service[]): void {
    this.services = services;
    this.renewNames();
  }

  private onService(service: Service, deleted: boolean): void {
    const others = this.services.filter(({ metadata }) => metadata.uid !== service.metadata.uid);
    this.onServices(deleted ? others : [...others, service]);
  }

  /** A pod that is ours: begun when it is new, told when it changed. */
  private take(pod: Pod): void {
    const { uid } = pod.metadata;
    const known = this.local.get(uid);
    known?.worker.observe(pod);
    if (known || this.starting.has(uid) || this.ended.signal.aborted || !this.nodes.isOnline(pod.spec.nodeName)) return;
    this.starting.add(uid);
    void this.begin(pod).finally(() => this.starting.delete(uid));
  }

  private async begin(pod: Pod): Promise<void> {
    const { uid } = pod.metadata;
    const fate = await this.options.fateOf(pod);
    const { api, dir, restartBackoffMs = 10_000 } = this.options;
    const place = {
      podIP: this.nextAddress(),
      hostIP: '127.0.0.1',
      allocatable: this.nodes.allocatable(pod.spec.nodeName),
    };
    const neighbours = (): ReturnType<FakeKubelet['neighbours']> => this.neighbours();
    const runtime =
      fate.type === 'process'
        ? new ProcessRuntime({ api, pod, place, dir: join(dir, uid), tables: this.options, neighbours })
        : new ScriptedRuntime(pod, fate, place.podIP);
    const online = (): boolean => this.nodes.isOnline(pod.spec.nodeName);
    const worker = new PodWorker(pod, {
      ...{ api, runtime, online, restartBackoffMs, onChange: () => this.renewNames() },
      ...(fate.type === 'end' && { ending: fate }),
    });
    this.local.set(uid, { pod, worker, runtime });
    this.renewNames();
    worker.observe(this.newest.get(uid) ?? pod);
    if (!this.newest.has(uid) || this.ended.signal.aborted) await this.forget(uid);
  }

  private async forget(uid: string): Promise<void> {
    const found = this.local.get(uid);
    this.local.delete(uid);
    await found?.worker.vanish();
    this.renewNames();
  }

  private neighbours(): { pods: { pod: Pod; podIP: string; ready: boolean }[]; services: readonly Service[] } {
    const pods = [...this.local.values()].map(({ pod, worker }) => ({ pod, podIP: worker.podIP, ready: worker.ready }));
    return { pods, services: this.services };
  }

  private renewNames(): void {
    for (const { runtime } of this.local.values())
      if (runtime instanceof ProcessRuntime) void runtime.renewNames().catch(() => undefined); // not prepared yet
  }

  private nextAddress(): string {
    this.hosts += 1;
    return `127.${this.net}.${Math.floor(this.hosts / 250)}.${(this.hosts % 250) + 1}`;
  }

  private findLog(...[namespace, name, container, previous]: Parameters<FindLog>): ReturnType<FindLog> {
    const found = [...this.local.values()].find(
      ({ pod: { metadata } }) => metadata.name === name && metadata.namespace === namespace,
    );
    if (!found) return { status: 404, message: `pod "${name}" not found` };
    if (!this.nodes.isOnline(found.pod.spec.nodeName)) return 'cut off';
    const slot = found.worker.slot(container);
    const run = previous ? slot?.previous : slot?.run;
    if (run) return { log: run.log };
    const reason = slot?.view.state.waiting?.reason ?? 'ContainerCreating';
    const where = `container "${container}" in pod "${name}"`;
    return {
      status: 400,
      message: previous ? `previous terminated ${where} not found` : `${where} is waiting to start: ${reason}`,
    };
  }

  private localOf(uid: string): Local {
    const found = this.local.get(uid);
    if (!found) throw new Error(`no pod with the uid ${uid} is on a fake node`);
    return found;
  }
}
