import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { backoffMs, waitBeforeRetryMs } from './backoff.js';

const options = { baseMs: 500, maxMs: 30_000 };
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('backoffMs', () => {
  it('doubles with every failure, until its bound', () => {
    const longest = [1, 2, 3, 4, 5, 6, 7, 8, 1_000].map((failures) => backoffMs(failures, options, 1));
    expect(longest).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  });

  it('is never below half of its size nor above its bound, however many tries failed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e9 }), chance, (failures, random) => {
        const wait = backoffMs(failures, options, random);
        expect(wait).toBeGreaterThanOrEqual(250);
        expect(wait).toBeLessThanOrEqual(30_000);
      }),
    );
  });
});

describe('waitBeforeRetryMs', () => {
  it('never comes back before the server allows it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), chance, fc.nat(100_000), (failures, random, asked) => {
        expect(waitBeforeRetryMs(failures, options, random, asked)).toBeGreaterThanOrEqual(asked);
      }),
    );
  });
});
