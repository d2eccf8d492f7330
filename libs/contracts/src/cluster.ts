import { z } from 'zod';

const count = z.int().nonnegative();

/** What there is of one thing and what of it is not taken. */
const stock = z.object({ total: z.number().nonnegative(), free: z.number().nonnegative() });

/** One machine of a cluster. Memory in MiB, CPU in cores. */
export const clusterNode = z.object({
  name: z.string(),
  ready: z.boolean(),
  /** False while new pods are kept away by hand or by a condition of the node. */
  schedulable: z.boolean(),
  /** NVIDIA's compute capability, its first number. */
  computeMajor: count.nullable(),
  devices: z.array(
    z.object({
      /** What pods ask for: nvidia.com/gpu, nvidia.com/mig-1g.5gb, amd.com/gpu. */
      resource: z.string(),
      /** As the node's labels say it, e.g. NVIDIA-H100-80GB-HBM3. */
      product: z.string().nullable(),
      /** Memory of one device; null: not known. */
      memoryMib: count.nullable(),
      total: count,
      free: count,
    }),
  ),
  mig: z.enum(['none', 'single', 'mixed']),
  /** How several pods share one device; shared devices have no memory of their own. */
  sharing: z.enum(['none', 'time-slicing', 'mps']),
  taints: z.array(z.object({ key: z.string(), value: z.string(), effect: z.string() })),
  cpu: stock,
  memoryMib: stock,
});
export type ClusterNode = z.output<typeof clusterNode>;

/** All devices of one kind. */
export const deviceGroup = z.object({
  product: z.string(),
  resource: z.string(),
  deviceMemoryMib: count.nullable(),
  nodes: count,
  total: count,
  free: count,
  /** Most devices on one node. */
  largestNode: count,
});
export type DeviceGroup = z.output<typeof deviceGroup>;

/** One limit of the training namespace. Memory in MiB, CPU in cores, everything else counted. */
export const clusterQuota = z.object({
  name: z.string(),
  resource: z.string(),
  hard: z.number().nonnegative(),
  used: z.number().nonnegative(),
});
export type ClusterQuota = z.output<typeof clusterQuota>;

/** A queue that runs can be sent to (Kueue's LocalQueue with what its ClusterQueue may give). */
export const clusterQueue = z.object({
  name: z.string(),
  clusterQueue: z.string(),
  /** False: nothing is admitted now. */
  active: z.boolean(),
  pending: count,
  admitted: count,
  /** By flavour: what one run may have at most (null: borrowing sets no limit) and what is reserved. */
  limits: z.array(
    z.object({ flavor: z.string(), resource: z.string(), most: z.number().nonnegative().nullable(), used: z.number() }),
  ),
});
export type ClusterQueue = z.output<typeof clusterQueue>;

/** What there is to run on, for an operator's eyes. */
export const clusterReport = z.object({
  executor: z.enum(['process', 'kubernetes']),
  /** One sentence. */
  message: z.string(),
  observedAt: z.string(),
  namespace: z.string().nullable(),
  nodes: z.array(clusterNode),
  groups: z.array(deviceGroup),
  quotas: z.array(clusterQuota),
  /** Null: no queueing system is installed. */
  queues: z.array(clusterQueue).nullable(),
  /** What is watched, and whether the watch is alive. */
  watches: z.array(z.object({ name: z.string(), connected: z.boolean(), lastSyncAgeMs: z.number() })),
});
export type ClusterReport = z.output<typeof clusterReport>;
