import type { ClusterQueue, FitAnswer } from '@luthier/contracts';
import type { ClusterSnapshot, SnapshotNode } from './cluster-snapshot.js';
import type { FitRequest } from './fit-request.js';
import { sentenceOf } from './fit-sentences.js';
import type { Obstacle } from './fit-sentences.js';
import { nearestFit } from './nearest.js';
import { NODE_FILTERS, deviceOf, isOfType, podsOn } from './node-filters.js';
import type { Measure, Wish } from './node-filters.js';

/**
 * Whether a run can be placed, now or ever, and why not. `fitsNow` implies `canEverFit`; another node never makes an
 * answer worse. Pure: whoever asks twice of the same snapshot gets the same answer.
 */
export function fit(request: FitRequest, snapshot: ClusterSnapshot): FitAnswer {
  const never = whyNever(request, snapshot);
  const later = never ? undefined : whyNotNow(request, snapshot);
  const nearest = never ? nearestFit(request, snapshot, (changed) => whyNever(changed, snapshot) === undefined) : null;
  const obstacle = never ?? later ?? { reason: 'fits' as const, params: {} };
  return {
    canEverFit: never === undefined,
    fitsNow: never === undefined && later === undefined,
    ...obstacle,
    message: sentenceOf(obstacle, { request, snapshot, nearest }),
    deviceProducts: productsOf(request, snapshot),
    nearest,
  };
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
function whyNever(request: FitRequest, snapshot: ClusterSnapshot): Obstacle | undefined {
  const nodes = suitable(request, snapshot.nodes);
  return (
    unknownQueue(request, snapshot) ??
    // Where nodes are added when they are needed, the present ones rule nothing out.
    (request.autoscaled === true
      ? undefined
      : (noSuitableNode(request, snapshot.nodes) ?? tooMuchFor(request, nodes, 'total'))) ??
    aboveLimit(request, snapshot) ??
    aboveQuota(request, snapshot, 'total') ??
    aboveQueue(request, snapshot, 'total')
  );
}

/** For a run that can fit: what it has to wait for. */
function whyNotNow(request: FitRequest, snapshot: ClusterSnapshot): Obstacle | undefined {
  const all = suitable(request, snapshot.nodes);
  const nodes = all.filter(({ ready, schedulable }) => ready && schedulable);
  if (request.autoscaled === true && tooMuchFor(request, all, 'total')) return { reason: 'nodes-to-come', params: {} };
  if (nodes.length === 0) return { reason: 'nodes-not-ready', params: {} };
  return (
    tooMuchFor(request, nodes, 'free') ?? aboveQuota(request, snapshot, 'free') ?? aboveQueue(request, snapshot, 'free')
  );
}

const suitable = (request: FitRequest, nodes: readonly SnapshotNode[]): SnapshotNode[] =>
  nodes.filter((node) => NODE_FILTERS.every(({ passes }) => passes(node, request)));

function noSuitableNode(request: FitRequest, nodes: readonly SnapshotNode[]): Obstacle | undefined {
  if (nodes.length === 0) return { reason: 'no-nodes', params: {} };
  let left = nodes;
  for (const { reason, passes } of NODE_FILTERS) {
    const before = left;
    left = before.filter((node) => passes(node, request));
    if (left.length > 0) continue;
    const memory = Math.max(0, ...before.map((node) => deviceOf(node, request)?.memoryMib ?? 0));
    const major = Math.max(0, ...before.map(({ computeMajor }) => computeMajor ?? 0));
    return {
      reason,
      params: {
        ...(reason === 'unknown-device-type' && {
          deviceType: request.deviceType ?? (request.products ?? []).join(' or '),
        }),
        ...(reason === 'device-memory-too-small' && {
          neededMib: request.resources.deviceMemoryMib,
          largestMib: memory,
        }),
        ...(reason === 'device-too-old' && { needed: request.computeMajor ?? 0, newest: major }),
      },
    };
  }
  return undefined;
}

/** Pods of one run are alike, so they can be placed exactly when the nodes together take that many. */
function tooMuchFor(request: FitRequest, nodes: readonly SnapshotNode[], measure: Measure): Obstacle | undefined {
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
    return {
      reason: !ever ? 'devices-busy' : largest < devicesPerNode ? 'node-too-small' : 'too-few-nodes',
      params: { nodes: wanted, devicesPerNode, largest, sum, fitting },
    };
  }
  if (places('devices', 'pods') < wanted) return { reason: 'nodes-full', params: { nodes: wanted } };
  if (places('devices', 'pods', 'cpu') < wanted) {
    const params = { needed: cpu, most: most((node) => node.cpu[measure]), nodes: wanted };
    return { reason: ever ? 'not-enough-cpu' : 'cpu-busy', params };
  }
  if (places('devices', 'pods', 'cpu', 'memory') < wanted) {
    const params = { neededMib: memoryMib, mostMib: most((node) => node.memoryMib[measure]), nodes: wanted };
    return { reason: ever ? 'not-enough-memory' : 'memory-busy', params };
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

function aboveQuota(request: FitRequest, snapshot: ClusterSnapshot, measure: Measure): Obstacle | undefined {
  const demand = demandOf(request);
  for (const { name, resource, hard, used } of snapshot.quotas) {
    const needed = demand.get(resource) ?? 0;
    if (needed > (measure === 'total' ? hard : hard - used)) {
      return { reason: 'quota-exceeded', params: { quota: name, resource, hard, used, needed } };
    }
  }
  return undefined;
}

function aboveLimit({ resources, deviceResource }: FitRequest, snapshot: ClusterSnapshot): Obstacle | undefined {
  const each: Readonly<Record<string, number>> = {
    cpu: resources.cpu,
    memory: resources.memoryMib,
    [deviceResource]: resources.devicesPerNode,
  };
  for (const { name, resource, max } of snapshot.limits) {
    const needed = each[resource] ?? 0;
    if (needed > max) return { reason: 'limit-exceeded', params: { limit: name, resource, max, needed } };
  }
  return undefined;
}

function queueOf({ queue }: FitRequest, { queues }: ClusterSnapshot): ClusterQueue | undefined {
  return queue === undefined ? undefined : queues?.find(({ name }) => name === queue);
}

function unknownQueue(request: FitRequest, snapshot: ClusterSnapshot): Obstacle | undefined {
  if (request.queue === undefined || queueOf(request, snapshot)) return undefined;
  const known = (snapshot.queues ?? []).map(({ name }) => name).join(', ');
  return { reason: 'unknown-queue', params: { queue: request.queue, namespace: snapshot.namespace, known } };
}

/**
 * All pods of a run go into one flavour; a queue that says nothing of the devices admits nothing that asks for them. CPU
 * and memory may be left out of what a queue counts. Of a queue that stands for nothing yet, nothing is known.
 */
function aboveQueue(request: FitRequest, snapshot: ClusterSnapshot, measure: Measure): Obstacle | undefined {
  const queue = queueOf(request, snapshot);
  if (!queue) return undefined;
  if (measure === 'free' && !queue.active) return { reason: 'queue-inactive', params: { queue: queue.name } };
  if (queue.limits.length === 0) return undefined;
  const room = ({ most, used }: ClusterQueue['limits'][number]): number =>
    most === null ? Number.POSITIVE_INFINITY : measure === 'total' ? most : most - used;
  for (const [resource, needed] of queuedDemandOf(request)) {
    const limits = queue.limits.filter((limit) => limit.resource === resource);
    const isLeftOut = limits.length === 0 && resource !== request.deviceResource;
    if (isLeftOut || limits.some((limit) => room(limit) >= needed)) continue;
    const most = Math.max(0, ...limits.map(room));
    const params = { queue: queue.name, clusterQueue: queue.clusterQueue, resource, most, needed };
    return { reason: measure === 'total' ? 'queue-too-small' : 'queue-busy', params };
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
