import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { TokenBucket } from './token-bucket.js';

describe('TokenBucket', () => {
  it('lets a burst through at once and then one token after the other', () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 3 }, 0);
    expect([0, 0, 0, 0, 0].map((now) => bucket.take(now))).toEqual([0, 0, 0, 100, 200]);
  });

  it('lets everything through when it is switched off', () => {
    const bucket = new TokenBucket({ perSecond: 0, burst: 1 }, 0);
    expect(Array.from({ length: 100 }, () => bucket.take(0)).every((wait) => wait === 0)).toBe(true);
  });

  it('uses a token again that was given back', () => {
    const bucket = new TokenBucket({ perSecond: 1, burst: 1 }, 0);
    expect(bucket.take(0)).toBe(0);
    bucket.giveBack();
    expect(bucket.take(0)).toBe(0);
  });

  it('never lets more through in any span of time than the burst and what came back in it, and never overtakes', () => {
    const gaps = fc.array(fc.integer({ min: -50, max: 500 }), { minLength: 1, maxLength: 200 });
    const limits = fc.record({ perSecond: fc.integer({ min: 1, max: 100 }), burst: fc.integer({ min: 1, max: 20 }) });
    fc.assert(
      fc.property(limits, gaps, (limit, steps) => {
        const bucket = new TokenBucket(limit, 0);
        let clock = 0;
        let furthest = 0;
        const uses = steps.map((step) => {
          clock = Math.max(0, clock + step);
          furthest = Math.max(furthest, clock);
          // Waits are counted from the furthest time seen: a clock that goes back gives no tokens.
          return furthest + bucket.take(clock);
        });
        for (let last = 1; last < uses.length; last += 1)
          expect(uses[last]).toBeGreaterThanOrEqual((uses[last - 1] ?? 0) - 1e-6);
        for (let from = 0; from < uses.length; from += 1)
          for (let to = from; to < uses.length; to += 7) {
            const allowed = limit.burst + (((uses[to] ?? 0) - (uses[from] ?? 0)) / 1_000) * limit.perSecond;
            expect(to - from + 1).toBeLessThanOrEqual(allowed + 1 + 1e-6);
          }
      }),
    );
  });
});
