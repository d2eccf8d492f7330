import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeClient } from './kube-client.js';
import { isKubeError } from './kube-error.js';
import type { KubeLogger } from './kube-logger.js';
import type { KubeMetrics } from './kube-metrics.js';
import { LeaseObservation, claimed, holderOf, released } from './lease-record.js';
import type { V1Lease } from './objects.js';
import { LEASES } from './resources.js';

export interface LeaderElectionOptions {
  client: KubeClient;
  namespace: string;
  name: string;
  /** Of this process alone: host name and something drawn by chance. */
  identity: string;
  /** How long others leave a lease alone that is not renewed. @default 15000 */
  durationMs?: number;
  /** Without a renewal for this long, the work is ended; less than `durationMs`. @default 10000 */
  renewMs?: number;
  /** Between tries to take or renew it. @default 2000 */
  retryMs?: number;
  metrics?: KubeMetrics | undefined;
  logger?: KubeLogger;
}

/** Lets one process at a time do some work, by a Lease object, as controllers of Kubernetes do. */
export class LeaderElection {
  private readonly durationMs: number;
  private readonly renewMs: number;
  private readonly retryMs: number;
  private readonly observation = new LeaseObservation();
  private leads = false;

  constructor(private readonly options: LeaderElectionOptions) {
    this.durationMs = options.durationMs ?? 15_000;
    this.renewMs = options.renewMs ?? Math.round((this.durationMs * 2) / 3);
    this.retryMs = options.retryMs ?? Math.min(2_000, Math.round(this.renewMs / 5));
    if (this.renewMs >= this.durationMs || this.retryMs >= this.renewMs)
      throw new RangeError('leader election needs retryMs < renewMs < durationMs');
  }

  /** Whether this process leads now. */
  get leading(): boolean {
    return this.leads;
  }

  /**
   * Waits for the lease and then runs `work`. Its signal aborts when the lease could not be renewed in time, well before
   * another may take it, or when `signal` aborts; `work` must then end soon. After a lost lease it stands again.
   * Resolves when `work` has ended by itself or `signal` has aborted; the lease is given back. Rejects with what `work`
   * threw while it led.
   */
  async run(work: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const taken = await this.acquire(signal);
      if (!taken) return;
      const lost = await this.lead(taken, work, signal);
      if (!lost) return;
    }
  }

  /** Tries until the lease is ours. Undefined when `signal` aborts. */
  private async acquire(signal: AbortSignal): Promise<Held | undefined> {
    while (!signal.aborted) {
      // Counted from before the request: the API may have noted the renewal any time after.
      const sentAt = performance.now();
      try {
        const lease = await this.tryTake(AbortSignal.any([signal, AbortSignal.timeout(this.renewMs)]));
        if (lease) return { lease, renewedAt: sentAt };
      } catch (error) {
        if (signal.aborted) return undefined;
        if (!isKubeError(error, 'conflict', 'already-exists')) this.warn(error, 'The lease cannot be taken');
      }
      await pause(this.retryMs * (1 + 0.2 * Math.random()), signal);
    }
    return undefined;
  }

  private async tryTake(signal: AbortSignal): Promise<V1Lease | undefined> {
    const { client, namespace, name, identity } = this.options;
    const terms = { namespace, name, identity, durationMs: this.durationMs };
    const current = await client.get(LEASES, name, namespace, signal);
    if (!current) return client.create(LEASES, claimed(terms, undefined, Date.now()), { signal });
    const now = performance.now();
    this.observation.observe(current, now);
    if (!this.observation.mayTake(current, identity, this.durationMs, now)) return undefined;
    return client.replace(LEASES, claimed(terms, current, Date.now()), { signal });
  }

  /** @returns whether the lease was lost, so that it has to be taken again */
  private async lead(held: Held, work: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<boolean> {
    const { name, logger } = this.options;
    const stop = new AbortController();
    const renewing = new AbortController();
    const end = (): void => stop.abort(signal.reason);
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    this.note(true);
    logger?.info({ lease: name }, 'This process leads now');
    let lost = false;
    const renewals = this.renew(held, renewing.signal).then((stillOurs) => {
      if (stillOurs) return;
      lost = true;
      this.note(false);
      logger?.warn({ lease: name }, 'The lease was lost; the work is ended until it is ours again');
      stop.abort(new Error('the lease was lost'));
    });
    try {
      await work(stop.signal);
    } catch (error) {
      // Work that throws because it was told to end has ended as it should.
      if (!stop.signal.aborted) throw error;
    } finally {
      signal.removeEventListener('abort', end);
      renewing.abort();
      await renewals;
      this.note(false);
      if (!lost) await this.release();
    }
    return lost && !signal.aborted;
  }

  /** Renews until told to end (true) or until it has failed for `renewMs` (false). Never throws. */
  private async renew(held: Held, signal: AbortSignal): Promise<boolean> {
    for (;;) {
      await pause(Math.min(this.retryMs, this.leftMs(held)), signal);
      if (signal.aborted) return true;
      const left = this.leftMs(held);
      if (left <= 0) return false;
      const sentAt = performance.now();
      try {
        const lease = await this.tryRenew(held, AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(left))]));
        if (!lease) return false;
        Object.assign(held, { lease, renewedAt: sentAt } satisfies Held);
      } catch (error) {
        if (signal.aborted) return true;
        if (!isKubeError(error, 'conflict')) this.warn(error, 'The lease cannot be renewed');
      }
    }
  }

  private leftMs(held: Held): number {
    return Math.max(0, held.renewedAt + this.renewMs - performance.now());
  }

  /** Undefined when another holds it. */
  private async tryRenew({ lease }: Held, signal: AbortSignal): Promise<V1Lease | undefined> {
    const { client, namespace, name, identity } = this.options;
    const terms = { namespace, name, identity, durationMs: this.durationMs };
    try {
      return await client.replace(LEASES, claimed(terms, lease, Date.now()), { signal });
    } catch (error) {
      if (!isKubeError(error, 'conflict', 'not-found')) throw error;
    }
    // Somebody wrote to it; perhaps we did, and the answer got lost.
    const current = await client.get(LEASES, name, namespace, signal);
    if (current && holderOf(current) !== identity) return undefined;
    const next = claimed(terms, current, Date.now());
    return current ? client.replace(LEASES, next, { signal }) : client.create(LEASES, next, { signal });
  }

  /** Best effort, bounded: without it the next one waits for the lease to run out. */
  private async release(): Promise<void> {
    const { client, namespace, name, identity } = this.options;
    const signal = AbortSignal.timeout(Math.min(5_000, this.renewMs));
    try {
      // Read anew, since a renewal that was given up may have been done.
      const current = await client.get(LEASES, name, namespace, signal);
      if (current && holderOf(current) === identity)
        await client.replace(LEASES, released(current, Date.now()), { signal });
    } catch (error) {
      this.warn(error, 'The lease could not be given back; others wait until it runs out');
    }
  }

  private note(leads: boolean): void {
    const { metrics = this.options.client.metrics, name } = this.options;
    this.leads = leads;
    metrics?.noteLeader(name, leads);
  }

  private warn(error: unknown, message: string): void {
    this.options.logger?.warn({ lease: this.options.name, err: error }, message);
  }
}

interface Held {
  lease: V1Lease;
  /** When the request was sent that renewed it last; of a clock that never goes back. */
  renewedAt: number;
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal }).catch(() => undefined);
