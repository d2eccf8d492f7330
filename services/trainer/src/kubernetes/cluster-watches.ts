import { JOBS, NODES, PODS, Reflector } from '@luthier/kube';
import type { KubeClient, KubeLogger, V1Job, V1Node, V1Pod } from '@luthier/kube';
import { MANAGED_BY } from './names.js';
import { WORKLOADS } from './run-workloads.js';

const LIVING = 'status.phase!=Succeeded,status.phase!=Failed';

/** What the trainer keeps of the cluster, by list and watch. */
export class ClusterWatches {
  readonly jobs: Reflector<V1Job>;
  readonly pods: Reflector<V1Pod>;
  readonly nodes: Reflector<V1Node>;
  /** Of all namespaces: whoever holds a device, it is taken. */
  readonly allPods: Reflector<V1Pod>;
  /** Only where a profile's runs wait in a queue of Kueue's. */
  readonly workloads: Reflector<NonNullable<(typeof WORKLOADS)['shape']>> | undefined;

  constructor(client: KubeClient, namespace: string, options: { queues: boolean; logger: KubeLogger }) {
    const { logger } = options;
    const ours = { client, namespace, labelSelector: MANAGED_BY, logger };
    this.jobs = new Reflector({ ...ours, resource: JOBS, trim: withoutTemplate });
    this.pods = new Reflector({ ...ours, resource: PODS, trim: withoutDetails });
    this.allPods = new Reflector({ client, resource: PODS, fieldSelector: LIVING, logger, trim: withoutDetails });
    this.nodes = new Reflector({ client, resource: NODES, logger, trim: withoutImages });
    this.workloads = options.queues
      ? new Reflector({ client, namespace, resource: WORKLOADS, logger, trim: withoutPodSets })
      : undefined;
  }

  start(): void {
    for (const watch of this.all()) watch.start();
  }

  /** Kueue's may never come: its absence holds up nothing. */
  async whenSynced(signal: AbortSignal): Promise<void> {
    await Promise.all([this.jobs, this.pods, this.nodes, this.allPods].map((watch) => watch.whenSynced(signal)));
  }

  async stop(): Promise<void> {
    await Promise.all(this.all().map((watch) => watch.stop()));
  }

  private all(): { start(): void; stop(): Promise<void> }[] {
    return [this.jobs, this.pods, this.nodes, this.allPods, ...(this.workloads ? [this.workloads] : [])];
  }
}

/** Thousands are held: only what is read is kept. */
function withoutTemplate({ spec, ...job }: V1Job): V1Job {
  if (!spec) return job;
  return { ...job, spec: { ...spec, template: { metadata: {}, spec: { containers: [] } } } };
}

function withoutDetails({ spec, ...pod }: V1Pod): V1Pod {
  if (!spec) return pod;
  const { nodeName, containers } = spec;
  return {
    ...pod,
    spec: {
      ...(nodeName !== undefined && { nodeName }),
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
