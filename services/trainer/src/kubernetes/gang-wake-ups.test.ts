import { describe, expect, it } from '@jest/globals';
import type { LiveObject, Observation } from '../runs/run-executor.js';
import { fakeProfile } from '../testing/cluster-place.js';
import type { Root } from './carriers/carrier.js';
import { GangWakeUps } from './gang-wake-ups.js';

const together = fakeProfile('a', { gang: { type: 'coscheduling', scheduleTimeoutSeconds: 600 } });
const root = { metadata: { uid: 'u-1' } } as Root;
const inPhase = (phase: NonNullable<LiveObject['progress']>['phase']): Observation => ({
  ...{ state: 'live', objectUid: 'u-1', pods: [], training: false },
  progress: { phase, reason: 'waiting-for-gpus', message: 'Waiting for GPUs.' },
});
const waiting = inPhase('scheduling');
const dueAt = (wakeUps: GangWakeUps, times: readonly number[], profile = together): number[] =>
  times.filter((now) => wakeUps.isDue(root, waiting, profile, now));

describe('a gang that waits for its place', () => {
  it('is made known anew every ten seconds, not when it has just been made', () => {
    expect(dueAt(new GangWakeUps(), [0, 1, 9_999, 10_000, 10_001, 19_999, 20_000])).toEqual([10_000, 20_000]);
  });

  it('is left alone once it has its place, and when it loses it the time begins anew', () => {
    const wakeUps = new GangWakeUps();
    dueAt(wakeUps, [0]);
    expect(wakeUps.isDue(root, inPhase('starting'), together, 10_000)).toBe(false);
    expect(dueAt(wakeUps, [11_000, 20_999, 21_000])).toEqual([21_000]);
  });

  it('is not touched for a scheduler that wakes its gangs itself', () => {
    const volcano = fakeProfile('v', { gang: { type: 'volcano' } });
    expect(dueAt(new GangWakeUps(), [0, 10_000, 20_000], volcano)).toEqual([]);
  });
});
