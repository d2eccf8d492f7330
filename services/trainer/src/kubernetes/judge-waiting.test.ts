import { describe, expect, it } from '@jest/globals';
import { fakeProfile } from '../testing/cluster-place.js';
import { judgeSilence } from './judge-waiting.js';

const NOW = Date.parse('2026-01-01T01:00:00Z');
const profile = fakeProfile('cpu', { stallSeconds: 600 });
/** A pod that has run for an hour, last heard of and last stepped so long ago. */
const judged = (silentSeconds: number, stuckSeconds: number, longestStepMs = 0) =>
  judgeSilence(
    { pods: [{ status: { phase: 'Running', startTime: '2026-01-01T00:00:00Z' } }], now: NOW },
    { lineMs: NOW - silentSeconds * 1_000, stepMs: NOW - stuckSeconds * 1_000, longestStepMs },
    profile,
  );

describe('silence of a run whose pods all run', () => {
  it('is nothing to speak of at first', () => {
    expect(judged(100, 200)).toEqual({ lookAgainInMs: 400_000 });
  });

  it('is told halfway to its bound, in the same words as long as it lasts', () => {
    const since = '2026-01-01T00:55:00Z';
    const progress = { phase: 'running', reason: 'stalled', params: { since } };
    const first = judged(300, 300);
    expect(first).toMatchObject({ progress: { ...progress, message: expect.stringContaining(since) } });
    expect(first.lookAgainInMs).toBeLessThanOrEqual(5_000);
    const later = judgeSilence(
      { pods: [], now: NOW + 60_000 },
      { lineMs: NOW - 300_000, stepMs: NOW - 300_000, longestStepMs: 0 },
      profile,
    );
    expect(later.progress).toEqual(first.progress);
  });

  it('is told as well when there are signs of life and no steps', () => {
    expect(judged(1, 400)).toMatchObject({
      progress: { reason: 'stalled', params: { since: '2026-01-01T00:53:20Z' } },
    });
    expect(judged(1, 400, 100_000).progress).toBeUndefined(); // its steps are that long
  });

  it('ends the run beyond the bound', () => {
    expect(judged(600, 600)).toMatchObject({ hopeless: { reason: 'stalled', params: { seconds: 600 } } });
    expect(judged(1, 600)).toMatchObject({ hopeless: { reason: 'stalled' } });
  });
});
