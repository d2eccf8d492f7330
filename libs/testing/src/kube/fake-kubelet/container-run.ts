import type { ContainerLog } from './container-log.js';

/** How a container ended. */
export interface Exit {
  exitCode: number;
  /** @default `Completed`, or `Error` for another exit code than 0 */
  reason?: string;
  /** The termination message. */
  message?: string;
}

/** One run of one container, whether played or real. */
export interface ContainerRun {
  readonly log: ContainerLog;
  /** Its first process, of this machine; undefined where none runs. */
  readonly pid?: number | undefined;
  readonly ended: Promise<Exit>;
  /** SIGTERM to its first process, or what its image wants. */
  terminate(): void;
  /** SIGKILL to all that belongs to it. */
  kill(): void;
  /** Runs a command beside it, as a probe or a hook does. @returns its exit code; 124 after `timeoutMs`. */
  exec(command: readonly string[], timeoutMs: number): Promise<number>;
}

/** The container cannot start now. A kubelet shows the reason and tries again. */
export class CannotStart extends Error {
  override readonly name = 'CannotStart';
  constructor(
    /** `CreateContainerConfigError`, `ErrImagePull`, ... */
    readonly reason: string,
    message: string,
    /** The same as an event of the pod. */
    readonly event?: { type: 'Warning'; reason: string },
  ) {
    super(message);
  }
}
