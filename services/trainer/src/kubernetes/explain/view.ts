import type { V1Event, V1Pod } from '@luthier/kube';
import type { ErrorCode, RunOutcome, RunParams, RunPhase, RunReason } from '@luthier/contracts';
import type { Root } from '../carriers/carrier.js';

/** What is read of Kueue's Workload (kueue.x-k8s.io/v1beta2). */
export interface KueueWorkload {
  metadata?: { name?: string; namespace?: string; uid?: string };
  spec?: { active?: boolean; queueName?: string; priority?: number };
  status?: {
    conditions?: readonly { type?: string; status?: string; reason?: string; message?: string }[];
    admission?: { clusterQueue?: string };
    /** In earlier admissions. */
    accumulatedPastExecutionTimeSeconds?: number;
  };
}

export interface ViewedNode {
  name: string;
  ready: boolean;
  /** When it stopped or began to be ready, in ms since 1970. */
  since?: number;
  /** Devices of `gpuResource` in all, and free ones. Absent: unknown, and then nothing is called impossible. */
  gpus?: number;
  freeGpus?: number;
  /** Devices that it has and does not offer any more: its device plugin found them faulty. */
  brokenGpus?: number;
  product?: string;
}

/** Everything the API shows of one attempt, as it came. Nothing in it is trusted to be there or to be well formed. */
export interface AttemptView {
  root: Root | undefined;
  pods: readonly V1Pod[];
  events: readonly V1Event[];
  workload?: KueueWorkload | undefined;
  nodes?: readonly ViewedNode[] | undefined;
  /** ms since 1970. */
  now: number;
  expectedPods: number;
  /** @default 'nvidia.com/gpu' */
  gpuResource?: string | undefined;
  /** Nodes may be added by themselves: what does not fit today may fit tomorrow. */
  autoscaled?: boolean | undefined;
  /** Newest committed checkpoint. */
  step?: number | undefined;
  /** Place in the queue from 1, where the queue tells it. */
  queuePosition?: number | undefined;
  /** The queues there are; null: no queueing system is installed. Absent: unknown, and then none is called missing. */
  queues?: readonly string[] | null | undefined;
  /** How long a silent node is waited for. @default 300000 */
  nodeLostMs?: number | undefined;
  /** The grace after the first end is over: judge by what there is, though some pods have not ended. */
  final?: boolean | undefined;
}

/** Why an attempt is not running yet, or what is wrong with it while it runs. */
export interface Explanation {
  /** `running`: it runs or did, and something of it is in trouble. */
  phase: Extract<RunPhase, 'queued' | 'scheduling' | 'starting' | 'running'>;
  reason: RunReason;
  params: RunParams;
  /** One English sentence. */
  message: string;
  /** The cluster's own words. */
  excerpt?: string;
  /** Waiting does not help: after `afterMs` the run ends. Not fatal: after `afterMs` the attempt ends, to be retried. */
  fatal: boolean;
  /** How long this is tolerated from when it was first seen; Infinity: as long as it takes. */
  afterMs: number;
}

/** How an attempt ended. */
export interface Ending {
  /** Undefined: every process ended well. */
  code: ErrorCode | undefined;
  reason: RunReason;
  params: RunParams;
  message: string;
  hint?: string;
  excerpt?: string;
  /** Last complete optimiser step, where a process said it. */
  step?: number;
  /** The fault lies in what carries the run, not in the run: another attempt goes on from the newest checkpoint. */
  infrastructure: boolean;
  /** The next attempt should not run here. */
  avoidNode?: string;
}

/** What is read of an `outcome.json`. */
export type ViewedOutcome = Pick<RunOutcome, 'code' | 'message' | 'hint' | 'step'>;
