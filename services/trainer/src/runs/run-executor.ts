import type { RunOutcome, RunParams, RunReason, RunSpec, StopReason } from '@luthier/contracts';

/** Identity of one attempt's object, wherever it runs. */
export interface AttemptKey {
  runId: string;
  attempt: number;
}

/** Why it is as it is: a closed reason with its figures, one sentence, and what the machine said word for word. */
export interface Explained {
  reason: RunReason;
  message: string;
  params?: RunParams;
  excerpt?: string;
}

export interface LiveObject {
  state: 'live';
  objectUid: string;
  /** UIDs of a complete set of pods; empty while it is not complete. */
  pods: string[];
  /** The last incarnation that was noted on the object itself, for when the status is lost. */
  noted?: { incarnation: number; pods: string[] };
  training: boolean;
  /** Not let go yet: nothing of it runs before its UID is in the status and it was released. */
  held?: boolean;
  /** Nothing of it has begun: ending it loses nothing. */
  idle?: boolean;
  /** A node that carries it does not answer: no order reaches what runs there. */
  cutOff?: boolean;
  /** Its end was ordered; what runs is on its way out. */
  leaving?: boolean;
  /** Why it is not training yet; of one that trains, what is wrong with what carries it. */
  progress?: Explained & { phase: 'queued' | 'scheduling' | 'starting' | 'running' };
  /** It will never train: to be given up for this reason. */
  hopeless?: Explained;
  /** When to look again although nothing has changed. */
  lookAgainInMs?: number;
}

/**
 * What there is of an attempt.
 * - `absent`: no object (its outcome may lie in the store).
 * - `live`: under this trainer's control.
 * - `orphaned`: left by an earlier life of the trainer; it must be collected before anything is said about it.
 * - `ended`: nothing of it runs any more.
 */
export type Observation = { state: 'absent' } | LiveObject | { state: 'orphaned' } | { state: 'ended' };

export interface PlacedObject {
  objectUid: string;
  pods: string[];
}

/** What is left of an attempt once nothing of it runs. */
export interface Collected {
  /** Undefined when there was never a process, or nothing is left that tells. */
  outcome: RunOutcome | undefined;
  /** Somebody removed the object while it should have run. */
  missing: boolean;
  /** Why it ended, where the object tells more than that it failed. */
  explained?: Explained;
}

/** The object cannot be made, and asking again would not change that. */
export class Refused extends Error {
  constructor(readonly explained: Explained) {
    super(explained.message);
  }
}

/** The object cannot be made or changed now; asking again may help, so it is asked again. */
export class Hindered extends Error {
  constructor(
    readonly explained: Explained,
    options?: ErrorOptions,
  ) {
    super(explained.excerpt ?? explained.message, options);
  }
}

/** What is known of an attempt before it is looked at. */
export interface Known {
  /** Of an object that is known to have existed: then `absent` is said only when that is certain. */
  objectUid?: string | undefined;
  /** Of the run's spec. */
  profile: string;
}

/** Makes attempts real: local processes, or Kubernetes Jobs. Every method may be called again after a crash. */
export abstract class RunExecutor {
  /** Called with the run whose observation may have changed. @returns what ends it. */
  abstract onChange(listener: (runId: string) => void): () => void;
  abstract observe(key: AttemptKey, known: Known): Promise<Observation>;
  /**
   * Creates the object so that training cannot begin before `objectUid` is in the status (locally the runner waits for
   * the run endpoint). Leftovers of an earlier try are ended first; an object that is there already is taken over when
   * it is this attempt's.
   * @throws Refused when it can never be made, Hindered when it cannot be made now.
   */
  abstract create(spec: RunSpec, objectName: string): Promise<PlacedObject>;
  /** Lets a held object begin; its UID is in the status. @throws as `create` */
  abstract release(spec: RunSpec, objectUid: string): Promise<void>;
  /** Before a complete new set of pods becomes the next incarnation in the status. */
  abstract noteIncarnation(spec: RunSpec, incarnation: number, pods: readonly string[]): Promise<void>;
  /** Asks for a checkpoint and an orderly end. */
  abstract stop(key: AttemptKey, reason: StopReason): Promise<void>;
  /** Asks for a checkpoint while the run goes on. */
  abstract checkpoint(key: AttemptKey, request: number): Promise<void>;
  /** Ends every process of the attempt at once; returns when none is left. */
  abstract kill(key: AttemptKey): Promise<void>;
  /** Ends what is left, forwards unsent lines, finds the outcome. Only after this a terminal status may be written. */
  abstract collect(key: AttemptKey): Promise<Collected>;
  /** Whether an object of another attempt of the run is there whose end nobody has ordered. */
  abstract hasOthers(key: AttemptKey): boolean;
  /** Removes every object of a finished run. */
  abstract remove(runId: string): Promise<void>;
  /** Running time of all attempts so far. */
  abstract runningMs(runId: string): Promise<number>;
  /** Names of the nodes that carry an attempt; of those in trouble alone, where any is. Empty where there is one machine. */
  abstract nodesOf(key: AttemptKey, profile: string): readonly string[];
  /** Runs that hold devices now. */
  abstract liveRuns(): readonly string[];
}
