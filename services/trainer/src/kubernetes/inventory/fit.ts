import type { ClusterQueue, FitAnswer } from '@luthier/contracts';
import { fitAnswer, hindrance } from '../../inventory/fit-answer.js';
import type { Hindrance } from '../../inventory/fit-answer.js';
import { gigabytes } from '../../inventory/fit-sentences.js';
import { listed } from '../../inventory/listed.js';
import type { ClusterSnapshot, SnapshotNode } from './cluster-snapshot.js';
import type { FitRequest } from './fit-request.js';
import { nearestFit } from './nearest.js';
import { NODE_FILTERS, deviceOf, isOfType, podsOn } from './node-filters.js';
import type { Measure, NodeFilterReason, Wish } from './node-filters.js';

/**
 * Whether a run can be placed, now or ever, and why not. `fitsNow` implies `canEverFit`; another node never makes an
 * answer worse. Pure: whoever asks twice of the same snapshot gets the same answer.
 */
export function fit(request: FitRequest, snapshot: ClusterSnapshot): FitAnswer {
  const never = whyNever(request, snapshot);
  const later = never ? undefined : whyNotNow(request, snapshot);
  const nearest = never ? nearestFit(request, snapshot, (changed) => whyNever(changed, snapshot) === undefined) : null;
  return fitAnswer(never ?? later ?? hindrance('fits', {}), {
    canEverFit: never === undefined,
    fitsNow: never === undefined && later === undefined,
    deviceProducts: productsOf(request, snapshot),
    nearest,
  });
}

const productsOf = (
  { deviceType, deviceResource, products = [] }: FitRequest,
  { groups }: ClusterSnapshot,
): string[] =>
  deviceType === undefined
    ? []
    : groups
        .filter(({ resource, product }) => resource === deviceResource && isOfType(product, deviceType))
        .map(({ product }) => product)
        .filter((product) => products.length === 0 || products.includes(product));

/** Undefined: nothing in the cluster rules the run out for ever. */
function whyNever(request: FitRequest, snapshot: ClusterSnapshot): Hindrance | undefined {
  const nodes = suitable(request, snapshot.nodes);
  return (
    unknownQueue(request, snapshot) ??
    // Where nodes are added when they are needed, the present ones rule nothing out.
    (request.autoscaled === true
      ? undefined
      : (noSuitableNode(request, snapshot) ?? tooMuchFor(request, nodes, 'total'))) ??
    aboveLimit(request, snapshot) ??
    aboveQuota(request, snapshot, 'total') ??
    aboveQueue(request, snapshot, 'total')
  );
}

/** For a run that can fit: what it has to wait for. */
function whyNotNow(request: FitRequest, snapshot: ClusterSnapshot): Hindrance | undefined {
  const all = suitable(request, snapshot.nodes);
  const nodes = all.filter(({ ready, schedulable }) => ready && schedulable);
  if (request.autoscaled === true && tooMuchFor(request, all, 'total')) {
    return hindrance('nodes-to-come', {});
  }
  if (nodes.length === 0) return hindrance('nodes-not-ready', {});
  return (
    tooMuchFor(request, nodes, 'free') ?? aboveQuota(request, snapshot, 'free') ?? aboveQueue(request, snapshot, 'free')
  );
}

const suitable = (request: FitRequest, nodes: readonly SnapshotNode[]): SnapshotNode[] =>
  nodes.filter((node) => NODE_FILTERS.every(({ passes }) => passes(node, request)));

function noSuitableNode(request: FitRequest, snapshot: ClusterSnapshot): Hindrance | undefined {
  if (snapshot.nodes.length === 0) return hindrance('no-nodes', {});
  let left = snapshot.nodes;
  for (const { reason, passes } of NODE_FILTERS) {
    const before = left;
    left = before.filter((node) => passes(node, request));
    if (left.length === 0) return whyFiltered(reason, { request, before, available: availableDevices(snapshot) });
  }
  return undefined;
}

function whyFiltered(
  reason: NodeFilterReason,
  { request, before, available }: { request: FitRequest; before: readonly SnapshotNode[]; available: string },
): Hindrance {
  const largest = (of: (node: SnapshotNode) => number | null | undefined): number =>
    Math.max(0, ...before.map((node) => of(node) ?? 0));
  switch (reason) {
    case 'no-devices':
      return hindrance(reason, { resource: request.deviceResource, available });
    case 'unknown-device-type':
      return hindrance(reason, { deviceType: request.deviceType ?? listed(request.products ?? []), available });
    case 'device-memory-too-small': {
      const largestMib = largest((node) => deviceOf(node, request)?.memoryMib);
      return hindrance(reason, {
        neededMib: request.resources.deviceMemoryMib,
        largestMib: largestMib === 0 ? '' : largestMib,
      });
    }
    case 'device-too-old':
      return hindrance(reason, {
        needed: request.computeMajor ?? 0,
        newest: largest(({ computeMajor }) => computeMajor),
      });
    default:
      return hindrance(reason, {});
  }
}

/** "A10 (24 GB) x4, H100-80GB-HBM3 (80 GB) x8"; empty: none. */
function availableDevices({ groups }: ClusterSnapshot): string {
  const names = groups
    .filter(({ total }) => total > 0)
    .map(({ product, deviceMemoryMib, total }) => {
      const memory = deviceMemoryMib === null ? '' : ` (${gigabytes(deviceMemoryMib)})`;
      return `${product.replace(/^(NVIDIA|AMD)[-_ ]/i, '')}${memory} x${total}`;
    });
  return listed(names);
}

/** Pods of one run are alike, so they can be placed exactly when the nodes together take that many. */
function tooMuchFor(request: FitRequest, nodes: readonly SnapshotNode[], measure: Measure): Hindrance | undefined {
  const { nodes: wanted, devicesPerNode, cpu, memoryMib } = request.resources;
  const ever = measure === 'total';
  // Which wish is the one too many: they are added one after the other.
  const places = (...wishes: Wish[]): number =>
    nodes.reduce((sum, node) => sum + podsOn(node, request, { measure, wishes }), 0);
  const most = (of: (node: SnapshotNode) => number): number => Math.floor(Math.max(0, ...nodes.map(of)));
  const fitting = places('devices');
  if (fitting < wanted) {
    const counts = nodes.map((node) => deviceOf(node, request)?.[measure] ?? 0);
    const largest = Math.max(0, ...counts);
    const sum = counts.reduce((total, count) => total + count, 0);
    if (!ever) {
      const together = largest === sum ? '' : largest;
      return hindrance('devices-busy', { nodes: wanted, devicesPerNode, fitting, free: sum, together });
    }
    return largest < devicesPerNode
      ? hindrance('node-too-small', { devicesPerNode, largest })
      : hindrance('too-few-nodes', { nodes: wanted, devicesPerNode, fitting });
  }
  if (places('devices', 'pods') < wanted) return hindrance('nodes-full', {});
  if (places('devices', 'pods', 'cpu') < wanted) {
    return hindrance(ever ? 'not-enough-cpu' : 'cpu-busy', {
      ...{ nodes: wanted, needed: cpu, most: most((node) => node.cpu[measure]) },
    });
  }
  if (places('devices', 'pods', 'cpu', 'memory') < wanted) {
    return hindrance(ever ? 'not-enough-memory' : 'memory-busy', {
      ...{ nodes: wanted, neededMib: memoryMib, mostMib: most((node) => node.memoryMib[measure]) },
    });
  }
  return undefined;
}

/** What the whole run takes, by the names that quotas use for it. */
function demandOf({ resources, deviceResource }: FitRequest): ReadonlyMap<string, number> {
  const { nodes, devicesPerNode, cpu, memoryMib } = resources;
  return new Map([
    ...(devicesPerNode > 0 ? [[`requests.${deviceResource}`, nodes * devicesPerNode] as const] : []),
    ['cpu', nodes * cpu],
    ['requests.cpu', nodes * cpu],
    ['memory', nodes * memoryMib],
    ['requests.memory', nodes * memoryMib],
    ['limits.memory', nodes * memoryMib],
    ['pods', nodes],
    ['count/pods', nodes],
    ['count/jobs.batch', 1],
  ]);
}

function aboveQuota(request: FitRequest, snapshot: ClusterSnapshot, measure: Measure): Hindrance | undefined {
  const demand = demandOf(request);
  for (const { name, resource, hard, used } of snapshot.quotas) {
    const needed = demand.get(resource) ?? 0;
    if (needed > (measure === 'total' ? hard : hard - used)) {
      return hindrance('quota-exceeded', { quota: name, resource, hard, used, needed });
    }
  }
  return undefined;
}

function aboveLimit({ resources, deviceResource }: FitRequest, snapshot: ClusterSnapshot): Hindrance | undefined {
  const each: Readonly<Record<string, number>> = {
    cpu: resources.cpu,
    memory: resources.memoryMib,
    [deviceResource]: resources.devicesPerNode,
  };
  for (const { name, resource, max } of snapshot.limits) {
    const needed = each[resource] ?? 0;
    if (needed > max) return hindrance('limit-exceeded', { limit: name, resource, max, needed });
  }
  return undefined;
}

function queueOf({ queue }: FitRequest, { queues }: ClusterSnapshot): ClusterQueue | undefined {
  return queue === undefined ? undefined : queues?.find(({ name }) => name === queue);
}

function unknownQueue(request: FitRequest, snapshot: ClusterSnapshot): Hindrance | undefined {
  if (request.queue === undefined || queueOf(request, snapshot)) return undefined;
  if (snapshot.queues === null) return hindrance('no-queueing', { queue: request.queue });
  const known = listed(snapshot.queues.map(({ name }) => name));
  return hindrance('unknown-queue', { queue: request.queue, namespace: snapshot.namespace, known });
}

/**
 * All pods of a run go into one flavour; a queue that says nothing of the devices admits nothing that asks for them. CPU
 * and memory may be left out of what a queue counts. Of a queue that stands for nothing yet, nothing is known.
 */
function aboveQueue(request: FitRequest, snapshot: ClusterSnapshot, measure: Measure): Hindrance | undefined {
  const queue = queueOf(request, snapshot);
  if (!queue) return undefined;
  if (measure === 'free' && !queue.active) {
    return hindrance('queue-inactive', { queue: queue.name });
  }
  if (queue.limits.length === 0) return undefined;
  const room = ({ most, used }: ClusterQueue['limits'][number]): number =>
    most === null ? Number.POSITIVE_INFINITY : measure === 'total' ? most : most - used;
  for (const [resource, needed] of queuedDemandOf(request)) {
    const limits = queue.limits.filter((limit) => limit.resource === resource);
    const isLeftOut = limits.length === 0 && resource !== request.deviceResource;
    if (isLeftOut || limits.some((limit) => room(limit) >= needed)) continue;
    const most = Math.max(0, ...limits.map(room));
    return measure === 'total'
      ? hindrance('queue-too-small', { clusterQueue: queue.clusterQueue, resource, most, needed })
      : hindrance('queue-busy', { queue: queue.name, resource, most, needed });
  }
  return undefined;
}

/** By the names that queues use, devices first. */
function queuedDemandOf({ resources, deviceResource }: FitRequest): (readonly [string, number])[] {
  const { nodes, devicesPerNode, cpu, memoryMib } = resources;
  const all = [
    [deviceResource, nodes * devicesPerNode],
    ['cpu', nodes * cpu],
    ['memory', nodes * memoryMib],
  ] as const;
  return all.filter(([, needed]) => needed > 0);
}
