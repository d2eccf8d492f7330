import { PRIORITIES } from '@luthier/contracts';
import { ifFound } from '@luthier/testing/kube';
import type { ControlPlane, KubeObject } from '@luthier/testing/kube';

export const KUEUE_API = 'kueue.x-k8s.io/v1beta2';
/** Behind the queue `team`: 8 GPUs and as much of the rest as anybody wants. */
export const CLUSTER_QUEUE = 'runs-of-kueue';
/** Classes of priority, as a profile gives them to what jobs ask for. */
export const PRIORITY_CLASSES = [
  { from: PRIORITIES.low, name: 'runs-low' },
  { from: PRIORITIES.normal, name: 'runs-normal' },
  { from: PRIORITIES.high, name: 'runs-urgent' },
];

interface QueueWish {
  namespace: string;
  name: string;
  clusterQueue: string;
  /** What it gives of each resource; others it does not count. */
  quota: Readonly<Record<string, string>>;
}

/** A LocalQueue with a ClusterQueue behind it, in which more urgent work takes the place of less urgent. */
export async function makeQueue(cluster: ControlPlane, wish: QueueWish): Promise<void> {
  const { namespace, name, clusterQueue, quota } = wish;
  const resources = Object.entries(quota).map(([resource, nominalQuota]) => ({ name: resource, nominalQuota }));
  await cluster.apply(
    { apiVersion: KUEUE_API, kind: 'ResourceFlavor', metadata: { name: 'any-gpu' }, spec: {} },
    {
      ...{ apiVersion: KUEUE_API, kind: 'ClusterQueue', metadata: { name: clusterQueue } },
      spec: {
        namespaceSelector: {},
        preemption: { withinClusterQueue: 'LowerPriority' },
        resourceGroups: [{ coveredResources: Object.keys(quota), flavors: [{ name: 'any-gpu', resources }] }],
      },
    },
    { apiVersion: KUEUE_API, kind: 'LocalQueue', metadata: { name, namespace }, spec: { clusterQueue } },
  );
}

/** The queue `team` and the classes of priority. */
export async function makeQueues(cluster: ControlPlane, namespace: string): Promise<void> {
  const priority = (name: string, value: number): KubeObject & { value: number } => ({
    ...{ apiVersion: KUEUE_API, kind: 'WorkloadPriorityClass', metadata: { name } },
    value,
  });
  await cluster.apply(...PRIORITY_CLASSES.map(({ from, name }) => priority(name, from)));
  const quota = { 'nvidia.com/gpu': '8', cpu: '1000', memory: '1000Gi', 'ephemeral-storage': '1000Gi' };
  await makeQueue(cluster, { namespace, name: 'team', clusterQueue: CLUSTER_QUEUE, quota });
}

/** As an administrator does who removes Kueue, which has ended, with all that is its own. */
export async function removeKueueObjects({ api }: ControlPlane, namespace: string): Promise<void> {
  const within = ['workloads', 'localqueues'].map((plural) => `namespaces/${namespace}/${plural}`);
  for (const kind of [...within, 'clusterqueues', 'resourceflavors']) {
    const path = `/apis/${KUEUE_API}/${kind}`;
    const { items } = await api.get<{ items: KubeObject[] }>(path);
    for (const { metadata } of items) {
      // The garbage collector may have been ahead, and then it is as wanted.
      await ifFound(api.mergePatch(`${path}/${metadata?.name}`, { metadata: { finalizers: null } }));
    }
  }
  for (const plural of ['workloads', 'localqueues', 'clusterqueues']) {
    await api.delete(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${plural}.kueue.x-k8s.io`);
  }
}
