import { describe, expect, it } from '@jest/globals';
import { LeaseObservation, claimed, microTime, released } from './lease-record.js';

const terms = { namespace: 'ns', name: 'trainer', identity: 'a', durationMs: 15_000 };
const other = { ...terms, identity: 'b' };

describe('lease records', () => {
  it('write times with six digits, as Kubernetes reads them', () => {
    expect(microTime(Date.parse('2026-01-01T00:00:00.5Z'))).toBe('2026-01-01T00:00:00.500000Z');
  });

  it('count a change of the holder as a transition, and a renewal not', () => {
    const first = claimed(terms, undefined, 0);
    expect(first.spec).toMatchObject({ holderIdentity: 'a', leaseDurationSeconds: 15, leaseTransitions: 0 });
    const renewed = claimed(terms, first, 5_000);
    expect(renewed.spec).toMatchObject({ leaseTransitions: 0, acquireTime: microTime(0), renewTime: microTime(5_000) });
    const taken = claimed(other, renewed, 60_000);
    expect(taken.spec).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1, acquireTime: microTime(60_000) });
    expect(released(taken, 61_000).spec).toMatchObject({ holderIdentity: '', leaseDurationSeconds: 1 });
  });
});

describe('LeaseObservation', () => {
  it("waits a whole lease after it last saw a change, whatever the other machine's clock says", () => {
    for (const skewMs of [-86_400_000, 0, 86_400_000]) {
      const seen = new LeaseObservation();
      const lease = claimed(other, undefined, Date.now() + skewMs);
      seen.observe(lease, 1_000);
      expect(seen.mayTake(lease, 'a', 15_000, 15_999)).toBe(false);
      seen.observe(lease, 15_999);
      expect(seen.mayTake(lease, 'a', 15_000, 16_001)).toBe(true);
    }
  });

  it('begins to wait anew with every renewal that it sees', () => {
    const seen = new LeaseObservation();
    const lease = claimed(other, undefined, 0);
    seen.observe(lease, 0);
    const renewed = claimed(other, lease, 10_000);
    seen.observe(renewed, 14_000);
    expect(seen.mayTake(renewed, 'a', 15_000, 20_000)).toBe(false);
    expect(seen.mayTake(renewed, 'a', 15_000, 29_001)).toBe(true);
  });

  it('takes at once what was given back or is ours', () => {
    const seen = new LeaseObservation();
    const free = released(claimed(other, undefined, 0), 1);
    seen.observe(free, 0);
    expect(seen.mayTake(free, 'a', 15_000, 0)).toBe(true);
    const ours = claimed(terms, undefined, 0);
    seen.observe(ours, 0);
    expect(seen.mayTake(ours, 'a', 15_000, 0)).toBe(true);
  });
});
