import type { ClusterQuota, DeviceGroup } from '@luthier/contracts';
import type { ClusterSnapshot, RequestLimit, SnapshotNode } from './cluster-snapshot.js';
import type {
  ClusterQueueObject,
  LimitRangeObject,
  LocalQueueObject,
  NodeObject,
  PodObject,
  ResourceClaimObject,
  ResourceQuotaObject,
  ResourceSliceObject,
} from './kube-objects.js';
import { shareOf, waitingRunOf } from './pod-requests.js';
import type { PodShare } from './pod-requests.js';
import { amount } from './quantity.js';
import { readNode } from './read-node.js';
import { readQueues } from './read-queues.js';
import { readSlices } from './read-slices.js';

export interface SnapshotInput {
  /** Where runs are created: quotas, limits and queues of other namespaces do not count. */
  readonly namespace: string;
  readonly nodes: readonly NodeObject[];
  /** Resources that profiles call devices, besides those that vendors do. */
  readonly deviceResources?: readonly string[];
  /** Of all namespaces; those that are not here are not counted as taking anything. */
  readonly pods: readonly PodObject[];
  readonly resourceQuotas?: readonly ResourceQuotaObject[];
  readonly limitRanges?: readonly LimitRangeObject[];
  readonly resourceSlices?: readonly ResourceSliceObject[];
  /** Undefined: devices that pods took are counted by what the pods ask for. */
  readonly resourceClaims?: readonly ResourceClaimObject[];
  /** Undefined: no queueing system is installed. */
  readonly localQueues?: readonly LocalQueueObject[];
  readonly clusterQueues?: readonly ClusterQueueObject[];
}

const inNamespace =
  (namespace: string) =>
  (object: { readonly metadata?: { readonly namespace?: string } }): boolean =>
    (object.metadata?.namespace ?? namespace) === namespace;

/** Quotas for special pods (best effort, with a deadline, of a priority) say nothing about a training pod. */
const ALL_PODS = new Set(['NotBestEffort', 'NotTerminating']);
const countsForAll = ({ spec }: ResourceQuotaObject): boolean =>
  (spec?.scopes ?? []).every((scope) => ALL_PODS.has(scope)) && (spec?.scopeSelector ?? null) === null;

function readQuotas(quotas: readonly ResourceQuotaObject[]): ClusterQuota[] {
  return quotas.filter(countsForAll).flatMap(({ metadata, status }) =>
    Object.entries(status?.hard ?? {}).map(([resource, hard]) => ({
      name: metadata?.name ?? '',
      resource,
      hard: amount(resource, hard),
      used: amount(resource, status?.used?.[resource]),
    })),
  );
}

const readLimits = (ranges: readonly LimitRangeObject[]): RequestLimit[] =>
  ranges.flatMap(({ metadata, spec }) =>
    (spec?.limits ?? [])
      .filter(({ type }) => type === 'Container' || type === 'Pod')
      .flatMap(({ max = {} }) =>
        Object.entries(max).map(([resource, text]) => ({
          name: metadata?.name ?? '',
          resource,
          max: amount(resource, text),
        })),
      ),
  );

/** Devices of the same kind together, the largest first. */
function groupDevices(nodes: readonly SnapshotNode[]): DeviceGroup[] {
  const groups = new Map<string, DeviceGroup>();
  for (const node of nodes) {
    for (const { resource, product, memoryMib, total, free } of node.devices) {
      const name = product ?? resource;
      const before = groups.get(`${name} ${resource}`);
      const usable = node.ready && node.schedulable ? free : 0;
      groups.set(`${name} ${resource}`, {
        product: name,
        resource,
        deviceMemoryMib:
          memoryMib === null
            ? (before?.deviceMemoryMib ?? null)
            : Math.min(memoryMib, before?.deviceMemoryMib ?? memoryMib),
        nodes: (before?.nodes ?? 0) + 1,
        total: (before?.total ?? 0) + total,
        free: (before?.free ?? 0) + usable,
        largestNode: Math.max(before?.largestNode ?? 0, total),
      });
    }
  }
  return [...groups.values()].sort(
    (a, b) =>
      (b.deviceMemoryMib ?? 0) - (a.deviceMemoryMib ?? 0) || b.total - a.total || a.product.localeCompare(b.product),
  );
}

/** What there is in the cluster, from what its API says. Pure. */
export function takeSnapshot(input: SnapshotInput): ClusterSnapshot {
  const shares = new Map<string, PodShare[]>();
  const countedRuns = new Set<string>();
  const waitingRuns = new Set<string>();
  for (const pod of input.pods) {
    const share = shareOf(pod);
    if (!share) {
      const runId = waitingRunOf(pod);
      if (runId !== undefined) waitingRuns.add(runId);
      continue;
    }
    const onNode = shares.get(share.nodeName);
    if (onNode) onNode.push(share);
    else shares.set(share.nodeName, [share]);
    if (share.runId !== null) countedRuns.add(share.runId);
  }
  const slices = readSlices(input.resourceSlices ?? [], input.resourceClaims);
  const here = inNamespace(input.namespace);
  const nodes = input.nodes.map((node) => {
    const name = node.metadata?.name ?? '';
    const named = input.deviceResources ?? [];
    return readNode(node, { shares: shares.get(name) ?? [], slices: slices.get(name) ?? [], named });
  });
  return {
    namespace: input.namespace,
    nodes,
    groups: groupDevices(nodes),
    quotas: readQuotas((input.resourceQuotas ?? []).filter(here)),
    limits: readLimits((input.limitRanges ?? []).filter(here)),
    queues: input.localQueues ? readQueues(input.localQueues.filter(here), input.clusterQueues ?? []) : null,
    // What a run's unplaced pods will take is not counted above, so such a run is not either.
    countedRuns: [...countedRuns].filter((runId) => !waitingRuns.has(runId)).sort(),
  };
}
