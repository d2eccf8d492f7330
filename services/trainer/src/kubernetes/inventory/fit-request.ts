import type { RunResources } from '@luthier/contracts';
import type { Toleration } from './cluster-snapshot.js';

/** What a run asks of a cluster: its own resources, and what its profile says about where it may go. */
export interface FitRequest {
  /** Everything but `nodes` is meant for each node. `deviceMemoryMib` 0: any. */
  readonly resources: Pick<RunResources, 'nodes' | 'devicesPerNode' | 'deviceMemoryMib' | 'cpu' | 'memoryMib'>;
  /** nvidia.com/gpu, nvidia.com/mig-1g.5gb, amd.com/gpu. Without devices it does not matter. */
  readonly deviceResource: string;
  /** Product names as nodes spell them; empty or absent: any. */
  readonly products?: readonly string[];
  /** Part of a product name: "H100", "rtx-4090". */
  readonly deviceType?: string;
  /** Least compute capability, its first number. */
  readonly computeMajor?: number;
  /** Whether a run of one device may get a shared one. @default false: shared devices have no memory of their own */
  readonly allowShared?: boolean;
  readonly tolerations?: readonly Toleration[];
  readonly nodeSelector?: Readonly<Record<string, string>>;
  /** A queue of the cluster that decides when the run starts. */
  readonly queue?: string;
  /** Nodes are added when they are needed: what fits on no present node may fit on one of those. */
  readonly autoscaled?: boolean;
}
