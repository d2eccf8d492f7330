import type { Observation } from '../runs/run-executor.js';
import type { Root } from './carriers/carrier.js';
import type { ClusterProfile } from './cluster-profile.js';

const EVERY_MS = 10_000;

/**
 * When a gang that waits for its place is to be made known anew. The coscheduling plugin looks again at a gang that it has
 * turned away only when one of its pods comes or its PodGroup changes: neither a node that joins nor devices that become
 * free wake it, and the scheduler's own second look is minutes away.
 */
export class GangWakeUps {
  private readonly last = new Map<string, number>();

  /** @returns whether it is due; the next one is then an interval away. */
  isDue(root: Root, observed: Observation, profile: ClusterProfile | undefined, now: number): boolean {
    if (profile?.gang.type !== 'coscheduling') return false;
    const uid = root.metadata?.uid ?? '';
    if (observed.state !== 'live' || observed.progress?.phase !== 'scheduling') {
      this.last.delete(uid);
      return false;
    }
    const since = this.last.get(uid);
    if (since !== undefined && now - since < EVERY_MS) return false;
    this.last.set(uid, now);
    return since !== undefined; // it has just been made, or this is a new life of the trainer
  }

  forget(root: Root): void {
    this.last.delete(root.metadata?.uid ?? '');
  }
}
