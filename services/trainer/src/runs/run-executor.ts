import type { RunOutcome, RunSpec } from '@luthier/contracts';

/** Identity of one attempt's object, wherever it runs. */
export interface AttemptKey {
  runId: string;
  attempt: number;
}

/**
 * What there is of an attempt.
 * - `absent`: no object (its outcome may lie in the store).
 * - `live`: under this trainer's control.
 * - `orphaned`: left by an earlier life of the trainer; it must be collected before anything is said about it.
 * - `ended`: nothing of it runs any more.
 */
export type Observation =
  | { state: 'absent' }
  | { state: 'live'; objectUid: string; pods: string[]; training: boolean }
  | { state: 'orphaned' }
  | { state: 'ended' };

export interface PlacedObject {
  objectUid: string;
  pods: string[];
}

export type StopReason = NonNullable<RunSpec['stopReason']>;

/** What is left of an attempt once nothing of it runs. */
export interface Collected {
  /** Undefined when there was never a process, or nothing is left that tells. */
  outcome: RunOutcome | undefined;
  /** Somebody removed the object while it should have run. */
  missing: boolean;
}

/** Makes attempts real: local processes, or Kubernetes Jobs. Every method may be called again after a crash. */
export abstract class RunExecutor {
  /** Called with the run whose observation may have changed. */
  abstract onChange(listener: (runId: string) => void): void;
  abstract observe(key: AttemptKey): Promise<Observation>;
  /**
   * Creates the object so that training cannot begin before `objectUid` is in the status (locally the runner waits for
   * the run endpoint). Leftovers of an earlier try are ended first.
   */
  abstract create(spec: RunSpec, objectName: string): Promise<PlacedObject>;
  /** Asks for a checkpoint and an orderly end. */
  abstract stop(key: AttemptKey, reason: StopReason): Promise<void>;
  /** Asks for a checkpoint while the run goes on. */
  abstract checkpoint(key: AttemptKey, request: number): Promise<void>;
  /** Ends every process of the attempt at once; returns when none is left. */
  abstract kill(key: AttemptKey): Promise<void>;
  /** Ends what is left, forwards unsent lines, finds the outcome. Only after this a terminal status may be written. */
  abstract collect(key: AttemptKey): Promise<Collected>;
  /** Removes every object of a finished run. */
  abstract remove(runId: string): Promise<void>;
  /** Running time of all attempts so far. */
  abstract runningMs(runId: string): Promise<number>;
  /** Runs that hold devices now. */
  abstract liveRuns(): readonly string[];
}
