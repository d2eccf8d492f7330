import type { RunsBucket } from '@luthier/messaging';
import type { Pod } from '@luthier/testing/kube';
import type { PodTimes } from './pod-times.js';

/** When each run's status first told what its pod did, beside when the API told that the pod did it. */
export class EventToStatus {
  readonly running = new Map<string, number>();
  readonly ended = new Map<string, number>();
  private readonly stopped = new AbortController();
  private readonly watching: Promise<void>;

  constructor(
    runs: RunsBucket,
    private readonly pods: PodTimes,
  ) {
    this.watching = this.watch(runs);
  }

  podOf(runId: string): Pod | undefined {
    return this.pods.pods.get(runId);
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    await this.watching;
    await this.pods.stop();
  }

  /** Milliseconds from the pod's event to the status, of every run that has both. Sorted. */
  delaysMs(what: 'running' | 'ended'): number[] {
    const told = this[what];
    return [...this.pods[what]]
      .flatMap(([runId, at]) => (told.has(runId) ? [Math.max(0, (told.get(runId) ?? 0) - at)] : []))
      .sort((a, b) => a - b);
  }

  private async watch(runs: RunsBucket): Promise<void> {
    const note = (to: Map<string, number>, runId: string): void =>
      void (to.has(runId) || to.set(runId, performance.now()));
    // Listed once a minute besides: what was noted stays.
    for await (const change of runs.watch('status', { signal: this.stopped.signal })) {
      const entries = change.type === 'list' ? change.entries : change.type === 'put' ? [change.entry] : [];
      for (const { runId, value } of entries) {
        if (value.incarnation > 0) note(this.running, runId);
        if (value.phase === 'ended') note(this.ended, runId);
      }
    }
  }
}

/** The value below which this share of sorted values lies; null when there are none. */
export const quantileOf = (sorted: readonly number[], share: number): number | null =>
  sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? null;
