import type { FitReason } from '@luthier/contracts';
import type { SnapshotNode, Toleration } from './cluster-snapshot.js';
import type { FitRequest } from './fit-request.js';
import { isPassing, keepsAway } from './read-node.js';

type Taint = SnapshotNode['taints'][number];

const tokens = (text: string): string[] =>
  text
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((part) => part !== '');

/** Whether a product is of the type wished: "h100" is NVIDIA-H100-80GB-HBM3, "a10" is not NVIDIA-A100-SXM4-40GB. */
export function isOfType(product: string | null, wish: string): boolean {
  const wanted = tokens(wish).join('');
  if (product === null || wanted === '') return false;
  const parts = tokens(product);
  return parts.some((_, from) => parts.some((__, to) => parts.slice(from, to + 1).join('') === wanted));
}

export const deviceOf = (
  node: SnapshotNode,
  { deviceResource }: FitRequest,
): SnapshotNode['devices'][number] | undefined => node.devices.find(({ resource }) => resource === deviceResource);

const tolerates = (toleration: Toleration, taint: Taint): boolean =>
  (toleration.effect === undefined || toleration.effect === '' || toleration.effect === taint.effect) &&
  (toleration.key === undefined || toleration.key === ''
    ? toleration.operator === 'Exists'
    : toleration.key === taint.key && (toleration.operator === 'Exists' || (toleration.value ?? '') === taint.value));

const isOpen = (node: SnapshotNode, { tolerations = [], nodeSelector = {} }: FitRequest): boolean =>
  Object.entries(nodeSelector).every(([key, value]) => node.labels[key] === value) &&
  node.taints
    .filter((taint) => keepsAway(taint) && !isPassing(taint))
    .every((taint) => tolerations.some((toleration) => tolerates(toleration, taint)));

const wantsOwn = ({ allowShared, resources: { nodes, devicesPerNode } }: FitRequest): boolean =>
  devicesPerNode > 0 && !(allowShared === true && nodes * devicesPerNode === 1);

/** Why, when no node is left. */
export type NodeFilterReason = Extract<
  FitReason,
  | 'no-devices'
  | 'unknown-device-type'
  | 'device-memory-too-small'
  | 'device-too-old'
  | 'devices-shared'
  | 'nodes-not-allowed'
>;
interface NodeFilter {
  readonly reason: NodeFilterReason;
  readonly passes: (node: SnapshotNode, request: FitRequest) => boolean;
}

const isWished = (product: string | null, { products = [], deviceType }: FitRequest): boolean =>
  (products.length === 0 || (product !== null && products.includes(product))) &&
  (deviceType === undefined || isOfType(product, deviceType));

const ofDevices =
  (passes: (node: SnapshotNode, request: FitRequest) => boolean) =>
  (node: SnapshotNode, request: FitRequest): boolean =>
    request.resources.devicesPerNode === 0 || passes(node, request);

/**
 * In the order in which a user would ask. As with the scheduler, which goes by labels, a node that does not say what its
 * devices are is not chosen where that matters.
 */
export const NODE_FILTERS: readonly NodeFilter[] = [
  { reason: 'no-devices', passes: ofDevices((node, request) => (deviceOf(node, request)?.total ?? 0) > 0) },
  {
    reason: 'unknown-device-type',
    passes: ofDevices((node, request) => isWished(deviceOf(node, request)?.product ?? null, request)),
  },
  {
    reason: 'device-memory-too-small',
    passes: ofDevices(
      (node, request) => (deviceOf(node, request)?.memoryMib ?? 0) >= request.resources.deviceMemoryMib,
    ),
  },
  {
    reason: 'device-too-old',
    passes: ofDevices(({ computeMajor }, request) => (computeMajor ?? 0) >= (request.computeMajor ?? 0)),
  },
  { reason: 'devices-shared', passes: (node, request) => !wantsOwn(request) || node.sharing === 'none' },
  { reason: 'nodes-not-allowed', passes: isOpen },
];

export type Measure = 'total' | 'free';

const WISHES = ['devices', 'pods', 'cpu', 'memory'] as const;
export type Wish = (typeof WISHES)[number];

/** How many of the run's pods a node takes, going by all that a pod takes or only by some of it. */
export function podsOn(
  node: SnapshotNode,
  request: FitRequest,
  { measure, wishes = WISHES }: { measure: Measure; wishes?: readonly Wish[] },
): number {
  const { devicesPerNode, cpu, memoryMib } = request.resources;
  const takes: Readonly<Record<Wish, number>> = {
    devices:
      devicesPerNode === 0 ? Number.POSITIVE_INFINITY : (deviceOf(node, request)?.[measure] ?? 0) / devicesPerNode,
    pods: node.pods[measure],
    cpu: node.cpu[measure] / cpu,
    memory: node.memoryMib[measure] / memoryMib,
  };
  // Sums of thousandths: 3.9999999 cores' worth is 4.
  return Math.max(0, Math.floor(Math.min(...wishes.map((wish) => takes[wish])) + 1e-9));
}
