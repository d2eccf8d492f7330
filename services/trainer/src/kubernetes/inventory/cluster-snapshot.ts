import type { ClusterNode, ClusterQueue, ClusterQuota, DeviceGroup } from '@luthier/contracts';

/** A node with what only placing needs. */
export interface SnapshotNode extends ClusterNode {
  readonly labels: Readonly<Record<string, string>>;
  /** Places for pods. */
  readonly pods: { readonly total: number; readonly free: number };
}

/** What one container or pod of the namespace may ask for at most. */
export interface RequestLimit {
  readonly name: string;
  readonly resource: string;
  readonly max: number;
}

/**
 * What there is in a cluster at one moment. `total` leaves out what daemons take for ever; `free` is what no pod has
 * taken. CPU in cores, memory in MiB.
 */
export interface ClusterSnapshot {
  readonly namespace: string;
  readonly nodes: readonly SnapshotNode[];
  readonly groups: readonly DeviceGroup[];
  readonly quotas: readonly ClusterQuota[];
  readonly limits: readonly RequestLimit[];
  /** Null: no queueing system is installed. */
  readonly queues: readonly ClusterQueue[] | null;
  /** Runs with a pod that is counted above. */
  readonly countedRuns: readonly string[];
}

export interface Toleration {
  readonly key?: string;
  readonly operator?: string;
  readonly value?: string;
  readonly effect?: string;
}
