import type { Condition, Pod } from '../objects.js';

/** How a script's containers and pod end. */
export interface ScriptedEnd {
  exitCode: number;
  /** Of the containers. @default `Completed`, or `Error` for another exit code than 0 */
  reason?: string;
  /** Termination message of the containers. */
  message?: string;
  /** Reason and message of the pod itself: `Evicted`, `UnexpectedAdmissionError`, ... */
  podReason?: string;
  podMessage?: string;
  /** Of the pod, for instance `DisruptionTarget`. */
  conditions?: readonly Condition[];
}

interface Running {
  /** How long the containers are being created. @default 0 */
  startAfterMs?: number;
  /** Lines that every container has logged when it starts. */
  log?: readonly string[];
  /** False: its readiness probe never succeeds. @default true */
  ready?: boolean;
  /** What SIGTERM does; `ignored` waits for SIGKILL at the end of the grace period. @default exit code 143 at once */
  onTerminate?: 'ignored' | { exitCode: number; afterMs?: number; message?: string };
}

/** What becomes of a pod. */
export type Fate =
  /** Its own commands run as processes of this machine. */
  | ProcessFate
  /** It runs until it is told to go. */
  | ({ type: 'run' } & Running)
  /** It runs for a while (200 ms unless told otherwise) and ends so. */
  | ({ type: 'end'; afterMs?: number } & Running & ScriptedEnd)
  /** It never runs: `ErrImagePull`, `ImagePullBackOff`, `InvalidImageName`, `CreateContainerConfigError`, ... */
  | {
      type: 'wait';
      reason: string;
      message?: string;
      /** Only an event with this reason says it (`FailedMount`), not the containers. */
      event?: string;
    };

interface ProcessFate {
  type: 'process';
}
export type ScriptedFate = Exclude<Fate, ProcessFate>;
export type ChooseFate = (pod: Pod) => Fate | Promise<Fate>;

/** Says that the cluster, not the pod, is why it ended. */
export const disruption = (reason: string, message = ''): Condition => ({
  type: 'DisruptionTarget',
  status: 'True',
  reason,
  message,
});

/** What a kubelet reports of a pod that it evicts because the node runs short of something. */
export const evicted = (message = 'The node was low on resource: ephemeral-storage.'): ScriptedEnd => ({
  exitCode: 137,
  podReason: 'Evicted',
  podMessage: message,
  conditions: [disruption('TerminationByKubelet', message)],
});
