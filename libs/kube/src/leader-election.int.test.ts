import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { waitFor } from '@luthier/testing';
import { LeaderElection } from './leader-election.js';
import type { LeaderElectionOptions } from './leader-election.js';
import { startFakeCluster } from './testing/against-fake.js';
import type { FakeCluster } from './testing/against-fake.js';

const LEASE = 'coordination.k8s.io/v1/leases';
let cluster: FakeCluster;
let stopAll: AbortController;
let runs: Promise<void>[];
beforeEach(async () => {
  cluster = await startFakeCluster();
  stopAll = new AbortController();
  runs = [];
});
afterEach(async () => {
  stopAll.abort();
  await Promise.all(runs);
  await cluster.stop();
});

interface Candidate {
  identity: string;
  election: LeaderElection;
  stop: AbortController;
  /** When it began and ended to work, by the same clock. */
  spans: { from: number; to?: number }[];
}

/** A lease that does not run out by itself while a test lasts. */
const LASTING = { durationMs: 600_000, renewMs: 300_000 } as const;

function candidate(identity: string, options: Partial<LeaderElectionOptions> = LASTING): Candidate {
  const election = new LeaderElection({
    client: cluster.client({ maxTries: 1, timeoutMs: 500 }),
    namespace: 'training',
    name: 'trainer',
    identity,
    retryMs: 50,
    ...options,
  });
  const stop = new AbortController();
  const spans: Candidate['spans'] = [];
  const work = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const span: { from: number; to?: number } = { from: performance.now() };
      spans.push(span);
      const end = (): void => {
        span.to = performance.now();
        resolve();
      };
      signal.addEventListener('abort', end, { once: true });
      if (signal.aborted) end();
    });
  runs.push(election.run(work, AbortSignal.any([stop.signal, stopAll.signal])));
  return { identity, election, stop, spans };
}
const lease = (): Record<string, unknown> =>
  (cluster.fake.object(LEASE, 'training', 'trainer')?.['spec'] ?? {}) as Record<string, unknown>;

function expectNeverTwoAtOnce(...candidates: Candidate[]): void {
  const spans = candidates.flatMap(({ spans: own }) => own).sort((a, b) => a.from - b.from);
  for (let index = 1; index < spans.length; index += 1)
    expect(spans[index - 1]?.to ?? Infinity).toBeLessThanOrEqual(spans[index]?.from ?? 0);
}

describe('LeaderElection', () => {
  it('lets one of several work; at its orderly end the next one begins without waiting for the lease to run out', async () => {
    const a = candidate('a');
    await waitFor(() => a.election.leading);
    const b = candidate('b');
    const c = candidate('c');
    await waitFor(() => Number(lease()['leaseTransitions'] ?? 0) === 0 && cluster.fake.seen.length > 12);
    expect([b.spans, c.spans]).toEqual([[], []]);
    a.stop.abort();
    await waitFor(() => b.election.leading || c.election.leading);
    expect(a.election.leading).toBe(false);
    expectNeverTwoAtOnce(a, b, c);
  });

  it('ends the work before another may begin, when it can no longer reach the API', async () => {
    const a = candidate('a', { durationMs: 6_000, renewMs: 2_000 });
    await waitFor(() => a.election.leading);
    const b = candidate('b');
    // Only a's requests fail from now on: it is known by its identity in what it writes.
    cluster.fake.faults.add(({ method, body }) =>
      method === 'PUT' && JSON.stringify(body).includes('"holderIdentity":"a"') ? { cut: 'before' } : undefined,
    );
    await waitFor(() => b.election.leading);
    expect(a.spans[0]?.to).toBeDefined();
    expect((b.spans[0]?.from ?? 0) - (a.spans[0]?.to ?? 0)).toBeGreaterThan(100);
    expect(lease()).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
    expectNeverTwoAtOnce(a, b);
  });

  it('keeps on leading when an answer to a renewal is lost', async () => {
    const a = candidate('a');
    await waitFor(() => a.election.leading);
    cluster.fake.faults.next(({ method }) => method === 'PUT', { cut: 'after' }, 1);
    const asked = cluster.fake.seen.length;
    await waitFor(() => cluster.fake.seen.length > asked + 20);
    expect(a.spans.length).toBe(1);
    expect(a.election.leading).toBe(true);
  });

  it('ends the work at once when it sees that another holds the lease, and stands again', async () => {
    const a = candidate('a');
    await waitFor(() => a.election.leading);
    const metadata = { name: 'trainer', namespace: 'training' };
    cluster.fake.put(LEASE, { metadata, spec: { holderIdentity: 'x', leaseDurationSeconds: 1, leaseTransitions: 5 } });
    await waitFor(() => a.spans[0]?.to !== undefined);
    await waitFor(() => a.spans.length === 2);
    expect(lease()).toMatchObject({ holderIdentity: 'a', leaseTransitions: 6 });
  });

  it('leads again after its lease was deleted, without a pause', async () => {
    const a = candidate('a');
    await waitFor(() => a.election.leading);
    cluster.fake.remove(LEASE, 'training', 'trainer');
    await waitFor(() => lease()['holderIdentity'] === 'a');
    expect(a.spans.length).toBe(1);
  });

  it('gives the lease back and fails when its work fails', async () => {
    const election = new LeaderElection({
      client: cluster.client(),
      namespace: 'training',
      name: 'trainer',
      identity: 'a',
    });
    const failed = election.run(() => Promise.reject(new Error('work broke')), stopAll.signal);
    await expect(failed).rejects.toThrow('work broke');
    expect(lease()['holderIdentity']).toBe('');
  });

  it('ends when its work is done', async () => {
    const election = new LeaderElection({
      client: cluster.client(),
      namespace: 'training',
      name: 'trainer',
      identity: 'a',
    });
    await election.run(() => Promise.resolve(), stopAll.signal);
    expect(lease()['holderIdentity']).toBe('');
  });

  it('refuses times with which two could lead', () => {
    const client = cluster.client();
    const rest = { client, namespace: 'training', name: 'trainer', identity: 'a' };
    expect(() => new LeaderElection({ ...rest, durationMs: 1_000, renewMs: 1_000 })).toThrow(RangeError);
  });
});
