import { Counter, Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';

/** What a reflector tells about itself when metrics are read. */
export interface WatchState {
  readonly connected: boolean;
  readonly lastSyncAgeMs: number;
  /** Of a kind that is not installed there is nothing to tell. */
  readonly absent: boolean;
}

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15];

/** Metrics of this library, registered with the service's own registry. One for each registry. */
export class KubeMetrics {
  private readonly watches = new Map<WatchState, { resource: string; namespace: string }>();
  private readonly requests: Counter<'verb' | 'resource' | 'outcome'>;
  private readonly duration: Histogram<'verb' | 'resource'>;
  private readonly leader: Gauge<'lease'>;

  constructor(registry: Registry) {
    const registers = [registry];
    const { watches } = this;
    const labelNames = ['resource', 'namespace'] as const;
    this.requests = new Counter({
      name: 'luthier_kube_requests_total',
      help: 'Requests to the Kubernetes API, every try counted; outcome is "ok" or the kind of the error.',
      labelNames: ['verb', 'resource', 'outcome'],
      registers,
    });
    this.duration = new Histogram({
      name: 'luthier_kube_request_duration_seconds',
      help: 'Time of one try of a request to the Kubernetes API; of a watch, until it was open.',
      labelNames: ['verb', 'resource'],
      buckets: SECONDS,
      registers,
    });
    new Gauge({
      name: 'luthier_kube_watch_connected',
      help: '1 while the watch of a kind that is installed is open, else 0.',
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const [state, labels] of watches) if (!state.absent) this.set(labels, state.connected ? 1 : 0);
      },
    });
    new Gauge({
      name: 'luthier_kube_last_sync_age_seconds',
      help: 'Time since the API last confirmed that what is known of a kind is current.',
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const [state, labels] of watches) if (!state.absent) this.set(labels, state.lastSyncAgeMs / 1_000);
      },
    });
    this.leader = new Gauge({
      name: 'luthier_kube_leader',
      help: '1 while this process holds the lease, else 0.',
      labelNames: ['lease'],
      registers,
    });
  }

  noteRequest(verb: string, resource: string, outcome: string, seconds: number): void {
    this.requests.inc({ verb, resource, outcome });
    this.duration.observe({ verb, resource }, seconds);
  }

  noteLeader(lease: string, leads: boolean): void {
    this.leader.set({ lease }, leads ? 1 : 0);
  }

  /** @returns a function that forgets the watch again */
  addWatch(resource: string, namespace: string | undefined, state: WatchState): () => void {
    this.watches.set(state, { resource, namespace: namespace ?? '' });
    return () => void this.watches.delete(state);
  }
}
