import type { ClusterNode } from '@luthier/contracts';
import type { SnapshotNode } from './cluster-snapshot.js';
import type { NodeObject } from './kube-objects.js';
import type { Amounts, PodShare } from './pod-requests.js';
import { amount, rounded } from './quantity.js';
import type { SliceDevices } from './read-slices.js';

type Labels = Readonly<Record<string, string>>;

const DEVICE_RESOURCE = /^(nvidia\.com\/(gpu|mig-)|amd\.com\/gpu|gpu\.intel\.com\/|habana\.ai\/)/;
/** Put on and taken off by the cluster itself: such a node comes back. */
const PASSING_TAINT = /^node(\.cloudprovider)?\.kubernetes\.io\//;
const MIG_NAME = /mig-\d+g\.(\d+)gb/;
/** A part's usable memory by its name: "5gb" is 4 864 MiB. */
const MIG_MIB_PER_GB = 1_024 * 0.95;

const isDevice = (resource: string): boolean => DEVICE_RESOURCE.test(resource);
export const isPassing = ({ key }: { readonly key: string }): boolean => PASSING_TAINT.test(key);

const whole = (text: string | undefined): number | null =>
  text !== undefined && /^\d{1,12}$/.test(text) ? Number(text) : null;

/** The labels that GPU feature discovery (NVIDIA) and the node labeller (AMD) write; others may write the same. */
function productOf(resource: string, labels: Labels): string | null {
  const kind = resource.replace(/\.shared$/, '');
  return labels[`${kind}.product`] ?? labels[`${kind}.product-name`] ?? (labels['nvidia.com/gpu.product'] || null);
}

function memoryOf(resource: string, labels: Labels): number | null {
  const kind = resource.replace(/\.shared$/, '');
  const labelled = whole(labels[`${kind}.memory`]);
  if (labelled !== null) return labelled;
  const vram = labels[`${kind}.vram`];
  if (vram !== undefined) return Math.floor(amount('memory', vram.replace(/^(\d+)([GT])$/, '$1$2i'))) || null;
  const part = MIG_NAME.exec(resource)?.[1];
  // Whatever else devices are called, they are the node's GPUs.
  return part === undefined ? whole(labels['nvidia.com/gpu.memory']) : Math.floor(Number(part) * MIG_MIB_PER_GB);
}

function sharingOf(labels: Labels): ClusterNode['sharing'] {
  const strategy = labels['nvidia.com/gpu.sharing-strategy'];
  if (strategy === 'mps' || strategy === 'time-slicing') return strategy;
  return Number(labels['nvidia.com/gpu.replicas'] ?? 1) > 1 ? 'time-slicing' : 'none';
}

const migOf = (labels: Labels): ClusterNode['mig'] => {
  const strategy = labels['nvidia.com/mig.strategy'];
  return strategy === 'single' || strategy === 'mixed' ? strategy : 'none';
};

const sum = (shares: readonly PodShare[], resource: string): number =>
  shares.reduce((total, { requests }) => total + (requests[resource] ?? 0), 0);

/** What is there for runs: never more free than in total, never less than nothing. */
function stockOf(allocatable: number, resource: string, shares: readonly PodShare[]): { total: number; free: number } {
  const kept = sum(
    shares.filter(({ permanent }) => permanent),
    resource,
  );
  const total = Math.max(0, rounded(allocatable - kept));
  return { total, free: Math.min(total, Math.max(0, rounded(allocatable - sum(shares, resource)))) };
}

interface OnNode {
  /** Pods that take something of it. */
  readonly shares: readonly PodShare[];
  /** Devices that its drivers list. */
  readonly slices: readonly SliceDevices[];
  /** Resources that are devices because a profile says so. */
  readonly named: readonly string[];
}

/** A node as the inventory knows it. Pure. */
export function readNode(node: NodeObject, { shares, slices, named }: OnNode): SnapshotNode {
  const labels = node.metadata?.labels ?? {};
  const taints = (node.spec?.taints ?? []).map(({ key, value = '', effect }) => ({ key, value, effect }));
  const allocatable: Amounts = Object.fromEntries(
    Object.entries(node.status?.allocatable ?? {}).map(([name, text]) => [name, amount(name, text)]),
  );
  const places = Math.floor(allocatable['pods'] ?? 110);
  const lasting = shares.filter(({ permanent }) => permanent).length;
  const counted = Object.entries(allocatable)
    .filter(([resource, total]) => (isDevice(resource) || named.includes(resource)) && total > 0)
    .map(([resource, total]) => ({
      resource,
      product: productOf(resource, labels),
      memoryMib: memoryOf(resource, labels),
      ...stockOf(Math.floor(total), resource, shares),
    }));
  const claimed = slices
    .filter(({ resource }) => !counted.some((known) => known.resource === resource))
    .map(({ resource, product, memoryMib, total, taken }) => ({
      ...{ resource, product, memoryMib, total },
      free: Math.max(0, total - (taken ?? Math.min(total, sum(shares, resource)))),
    }));
  const computeMajor =
    whole(labels['nvidia.com/gpu.compute.major']) ?? slices.find((s) => s.computeMajor !== null)?.computeMajor ?? null;
  return {
    name: node.metadata?.name ?? '',
    ready: (node.status?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True'),
    schedulable: node.spec?.unschedulable !== true && !taints.some((t) => isPassing(t) && keepsAway(t)),
    computeMajor,
    devices: [...counted, ...claimed].sort((a, b) => a.resource.localeCompare(b.resource)),
    mig: migOf(labels),
    sharing: sharingOf(labels),
    taints,
    cpu: stockOf(allocatable['cpu'] ?? 0, 'cpu', shares),
    memoryMib: stockOf(allocatable['memory'] ?? 0, 'memory', shares),
    labels,
    pods: { total: Math.max(0, places - lasting), free: Math.max(0, places - shares.length) },
  };
}

export const keepsAway = ({ effect }: { readonly effect: string }): boolean =>
  effect === 'NoSchedule' || effect === 'NoExecute';
