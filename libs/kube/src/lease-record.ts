import type { V1Lease } from './objects.js';

export interface LeaseTerms {
  namespace: string;
  name: string;
  /** Ours; no two processes may have the same. */
  identity: string;
  durationMs: number;
}

/** Kubernetes wants microseconds, always six digits. */
export const microTime = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z');

export const holderOf = (lease: V1Lease): string => lease.spec?.holderIdentity ?? '';

/** The lease as we would write it: taken over from `before`, or renewed when it is ours. */
export function claimed(terms: LeaseTerms, before: V1Lease | undefined, nowMs: number): V1Lease {
  const { namespace, name, identity, durationMs } = terms;
  const ours = before !== undefined && holderOf(before) === identity;
  const now = microTime(nowMs);
  const transitions = before?.spec?.leaseTransitions ?? 0;
  return {
    ...before,
    metadata: { ...before?.metadata, namespace, name },
    spec: {
      ...before?.spec,
      holderIdentity: identity,
      leaseDurationSeconds: Math.max(1, Math.ceil(durationMs / 1_000)),
      acquireTime: ours ? (before.spec?.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: before === undefined || ours ? transitions : transitions + 1,
    },
  };
}

/** The lease given back: the next one need not wait. */
export function released(before: V1Lease, nowMs: number): V1Lease {
  const now = microTime(nowMs);
  return {
    ...before,
    spec: { ...before.spec, holderIdentity: '', leaseDurationSeconds: 1, acquireTime: now, renewTime: now },
  };
}

/**
 * Decides when another's lease has run out, by our own clock alone: what counts is when *we* saw the record change for
 * the last time. The times in the record come from another machine's clock and are never compared with ours.
 */
export class LeaseObservation {
  private seen = '';
  private seenAtMs = 0;

  /** Notes a record that was read at `atMs` of a clock that never goes back. */
  observe(lease: V1Lease, atMs: number): void {
    const { holderIdentity, renewTime, acquireTime, leaseTransitions } = lease.spec ?? {};
    const mark = JSON.stringify([lease.metadata?.uid, holderIdentity, renewTime, acquireTime, leaseTransitions]);
    if (mark === this.seen) return;
    this.seen = mark;
    this.seenAtMs = atMs;
  }

  /** Whether the lease that was observed last may be taken. */
  mayTake(lease: V1Lease, identity: string, durationMs: number, atMs: number): boolean {
    const holder = holderOf(lease);
    if (holder === '' || holder === identity) return true;
    const promised = lease.spec?.leaseDurationSeconds;
    return atMs > this.seenAtMs + (promised === undefined ? durationMs : promised * 1_000);
  }
}
