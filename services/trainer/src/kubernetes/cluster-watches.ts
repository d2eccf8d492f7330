import { setTimeout as sleep } from 'node:timers/promises';
import { EVENTS, LIMIT_RANGES, NODES, PODS, RESOURCE_QUOTAS, RESOURCE_SLICES, Reflector } from '@luthier/kube';
import type {
  KubeClient,
  KubeLogger,
  KubeObject,
  ReflectorOptions,
  Resource,
  V1Event,
  V1LimitRange,
  V1Node,
  V1Pod,
  V1ResourceQuota,
  V1ResourceSlice,
} from '@luthier/kube';
import type { ClusterReport } from '@luthier/contracts';
import type { Carrier, Root } from './carriers/carrier.js';
import { CARRIERS } from './carriers/carriers.js';
import { JOB } from './carriers/job.js';
import { CLUSTER_QUEUES, LOCAL_QUEUES, RESOURCE_CLAIMS } from './inventory/kinds.js';
import type { ClusterQueue, LocalQueue, ResourceClaim } from './inventory/kinds.js';
import type { SnapshotInput } from './inventory/snapshot.js';
import { MANAGED_BY } from './names.js';
import { WORKLOADS } from './run-workloads.js';

/** Roots of kinds that need not be there are waited for this long, so that none is overlooked at the start. */
const OTHERS_LISTED_MS = 10_000;
const LIVING = 'status.phase!=Succeeded,status.phase!=Failed';

/** What the trainer keeps of the cluster, by list and watch. */
export class ClusterWatches {
  /** Root objects of runs, by their kind. */
  readonly carried: readonly { carrier: Carrier; roots: Reflector<Root> }[];
  /** Of the namespace of the runs, also those that have ended. */
  readonly pods: Reflector<V1Pod>;
  readonly nodes: Reflector<V1Node>;
  /** Devices that drivers hand out by claims. */
  readonly slices: Reflector<V1ResourceSlice>;
  /** Of all other namespaces: whoever holds a device, it is taken. A pod of a run comes by one watch only. */
  readonly podsElsewhere: Reflector<V1Pod>;
  /** Of the namespace of the runs. They explain: nothing waits for them. */
  readonly events: Reflector<V1Event>;
  /** Kueue's. It may come and go: a job may wish a queue that no profile names. */
  readonly workloads: Reflector<NonNullable<(typeof WORKLOADS)['shape']>>;

  private readonly listed = new WeakSet<object>();
  private readonly quotas: Reflector<V1ResourceQuota>;
  private readonly limits: Reflector<V1LimitRange>;
  private readonly claims: Reflector<ResourceClaim>;
  private readonly localQueues: Reflector<LocalQueue>;
  private readonly clusterQueues: Reflector<ClusterQueue>;

  constructor(
    client: KubeClient,
    private readonly namespace: string,
    options: { logger: KubeLogger; kueueRecheckMs: number },
  ) {
    const { logger, kueueRecheckMs: absentRecheckMs } = options;
    const of = <T extends KubeObject>(resource: Resource<T>, within?: string): Reflector<T> =>
      new Reflector({ client, resource, namespace: within, logger });
    this.events = new Reflector({ client, namespace, resource: EVENTS, logger, trim: withoutExtras });
    this.quotas = of(RESOURCE_QUOTAS, namespace);
    this.limits = of(LIMIT_RANGES, namespace);
    this.slices = of(RESOURCE_SLICES);
    this.claims = of(RESOURCE_CLAIMS);
    const ofKueue = { client, logger, absentRecheckMs };
    this.localQueues = new Reflector({ ...ofKueue, namespace, resource: LOCAL_QUEUES });
    this.clusterQueues = new Reflector({ ...ofKueue, resource: CLUSTER_QUEUES });
    this.workloads = new Reflector({ ...ofKueue, namespace, resource: WORKLOADS, trim: withoutPodSets });
    const ours = { client, namespace, labelSelector: MANAGED_BY, logger };
    this.carried = CARRIERS.map((carrier) => ({
      carrier,
      roots: new Reflector({ ...ours, ...keptAs(carrier), absentRecheckMs }),
    }));
    const ofPods = { client, resource: PODS, logger, trim: withoutDetails };
    this.pods = new Reflector({ ...ofPods, namespace });
    this.podsElsewhere = new Reflector({ ...ofPods, fieldSelector: `${LIVING},metadata.namespace!=${namespace}` });
    this.nodes = new Reflector({ client, resource: NODES, logger, trim: withoutImages });
  }

  /** The kinds of root objects that are not known to be missing. */
  readonly served = (): Carrier[] => this.carried.flatMap(({ carrier, roots }) => (roots.absent ? [] : [carrier]));

  get roots(): Reflector<Root>[] {
    return this.carried.map(({ roots }) => roots);
  }

  start(): void {
    for (const watch of this.all()) {
      watch.start();
      void watch.whenSynced().then(() => this.listed.add(watch));
    }
  }

  /** Whether that was listed once. What is not installed is known not to be there. */
  knows(what: 'nodes' | 'queues'): boolean {
    const needed =
      what === 'nodes'
        ? [this.nodes, this.pods, this.podsElsewhere, this.quotas, this.slices]
        : [this.localQueues, this.clusterQueues];
    return needed.every((watch) => this.listed.has(watch));
  }

  /** Kueue's may never come: its absence holds up nothing. */
  async whenSynced(signal: AbortSignal): Promise<void> {
    const jobs = this.carried.filter(({ carrier }) => carrier === JOB).map(({ roots }) => roots);
    await Promise.all([...jobs, this.pods, this.nodes, this.podsElsewhere].map((watch) => watch.whenSynced(signal)));
    // The right to list kinds that need not be there may be missing: that must not hold up what runs as Jobs.
    const listed = Promise.all(this.roots.map((watch) => watch.whenSynced(signal)));
    await Promise.race([listed, sleep(OTHERS_LISTED_MS, undefined, { signal, ref: false })]);
  }

  /** Names of the queues that runs can wait in. Undefined: not known; null: Kueue is not installed. */
  queueNames(): readonly string[] | null | undefined {
    if (this.localQueues.absent) return null;
    return this.localQueues.connected ? this.localQueues.list().map(({ metadata }) => metadata?.name ?? '') : undefined;
  }

  async stop(): Promise<void> {
    await Promise.all(this.all().map((watch) => watch.stop()));
  }

  /** What the cluster has, as far as the watches show it now. */
  inventoryInput(): SnapshotInput {
    const claims = listIfThere(this.claims);
    const localQueues = listIfThere(this.localQueues);
    return {
      namespace: this.namespace,
      nodes: this.nodes.list(),
      pods: [...this.pods.list(), ...this.podsElsewhere.list()],
      resourceQuotas: this.quotas.list(),
      limitRanges: this.limits.list(),
      resourceSlices: this.slices.list(),
      ...(claims && { resourceClaims: claims }),
      ...(localQueues && { localQueues }),
      clusterQueues: this.clusterQueues.list(),
    };
  }

  /** Of everything watched that this cluster has. */
  health(): ClusterReport['watches'] {
    const named: Record<string, Pick<Reflector<KubeObject>, 'connected' | 'lastSyncAgeMs'>> = {
      ...Object.fromEntries(
        this.carried.filter(({ roots }) => !roots.absent).map(({ carrier, roots }) => [carrier.resource.plural, roots]),
      ),
      ...{ pods: this.pods, nodes: this.nodes, 'pods of other namespaces': this.podsElsewhere },
      events: this.events,
      ...{ 'resource quotas': this.quotas, 'limit ranges': this.limits },
      ...(!this.workloads.absent && { workloads: this.workloads }),
      ...(!this.localQueues.absent && { 'local queues': this.localQueues }),
      ...(!this.clusterQueues.absent && { 'cluster queues': this.clusterQueues }),
    };
    return Object.entries(named).map(([name, { connected, lastSyncAgeMs }]) => ({
      ...{ name, connected },
      lastSyncAgeMs: Math.round(lastSyncAgeMs),
    }));
  }

  private all(): { start(): void; stop(): Promise<void>; whenSynced(): Promise<void> }[] {
    const { quotas, limits, slices, claims, localQueues, clusterQueues } = this;
    return [
      ...[...this.roots, this.pods, this.nodes, this.podsElsewhere, this.events, this.workloads],
      ...[quotas, limits, slices, claims, localQueues, clusterQueues],
    ];
  }
}

/** Undefined where the kind is not installed, or nothing is known of it yet. */
const listIfThere = <T extends KubeObject>(watch: Reflector<T>): readonly T[] | undefined =>
  watch.connected || watch.list().length > 0 ? watch.list() : undefined;

/** Thousands are held: only what is read is kept. */
const keptAs = (carrier: Carrier): Pick<ReflectorOptions<Root>, 'resource' | 'trim'> => ({
  // What comes becomes a root before anybody sees it.
  resource: carrier.resource,
  trim: (object) => carrier.viewOf(object),
});

function withoutDetails({ spec, ...pod }: V1Pod): V1Pod {
  if (!spec) return pod;
  const { nodeName, schedulerName, containers, initContainers, overhead, resources: ofPod } = spec;
  return {
    ...pod,
    spec: {
      ...(nodeName !== undefined && { nodeName }),
      ...(schedulerName !== undefined && { schedulerName }),
      ...(overhead && { overhead }),
      ...(ofPod && { resources: ofPod }),
      ...(initContainers && {
        initContainers: initContainers.map(({ name, restartPolicy, resources }) => ({
          name,
          ...(restartPolicy !== undefined && { restartPolicy }),
          ...(resources && { resources }),
        })),
      }),
      containers: containers.map(({ name, image, resources }) => ({
        name,
        ...(image !== undefined && { image }),
        ...(resources && { resources }),
      })),
    },
  };
}

function withoutImages({ status, ...node }: V1Node): V1Node {
  if (!status) return node;
  const { images: _images, ...rest } = status;
  return { ...node, status: rest };
}

const MAX_SAID = 4_096;

function withoutExtras({ message, ...event }: V1Event): V1Event {
  const { annotations: _annotations, labels: _labels, ...metadata } = event.metadata;
  return { ...event, metadata, ...(message !== undefined && { message: message.slice(0, MAX_SAID) }) };
}

const withoutPodSets = (workload: NonNullable<(typeof WORKLOADS)['shape']>): typeof workload => {
  const { active, queueName, priority } = workload.spec ?? {};
  return {
    ...workload,
    spec: {
      ...(active !== undefined && { active }),
      ...(queueName !== undefined && { queueName }),
      ...(priority !== undefined && { priority }),
    },
  };
};
