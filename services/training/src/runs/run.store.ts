import type { Run } from './run.js';

/** Runs beyond one job: what projector, follower and stream need. */
export abstract class RunStore {
  abstract get(runId: string): Promise<Run | undefined>;
  /** Runs whose keys are still in the bucket, or should be. */
  abstract unpurged(): Promise<Run[]>;
  /** Locks the run's row, gives its current state, and stores what `act` returns before the lock is left. */
  abstract underLock(runId: string, act: (run: Run) => Promise<Partial<Run>>): Promise<void>;
}
