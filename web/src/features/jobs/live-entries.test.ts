import { describe, expect, it } from '@jest/globals';
import { applyEntries, NOTHING_YET } from './live-entries';

const metrics = (id: number, ...points: [step: number, value: number][]) => ({
  id,
  type: 'metrics',
  data: { points: points.map(([step, value]) => ({ step, value, name: 'loss' })) },
});
const event = (id: number) => ({ id, type: 'event', data: { id: `ftevent-${id}`, message: `${id}` } });

describe('what the live stream tells', () => {
  it('curves rise by step and hold one point a step', () => {
    const live = applyEntries(NOTHING_YET, [metrics(1, [2, 2.5], [1, 3]), metrics(2, [3, 2])]);
    expect(live.curves['loss']).toEqual([
      [1, 3],
      [2, 2.5],
      [3, 2],
    ]);
    expect(live.lastId).toBe(2);
  });

  it('a replay changes nothing', () => {
    const first = applyEntries(NOTHING_YET, [metrics(1, [1, 3]), event(2)]);
    expect(applyEntries(first, [metrics(1, [1, 9]), event(2)])).toBe(first);
    expect(applyEntries(first, [event(2), event(3)]).events.map((e) => e.id)).toEqual(['ftevent-3', 'ftevent-2']);
  });

  it('steps that a resumed attempt repeats are overwritten', () => {
    const live = applyEntries(applyEntries(NOTHING_YET, [metrics(1, [1, 3], [2, 2])]), [metrics(2, [2, 1.9])]);
    expect(live.curves['loss']).toEqual([
      [1, 3],
      [2, 1.9],
    ]);
  });

  it('entries of another shape are passed over but counted', () => {
    const live = applyEntries(NOTHING_YET, [
      { id: 1, type: 'metrics', data: { points: [{ step: 'x' }, null] } },
      { id: 2, type: 'event', data: null },
      { id: 3, type: 'later-kind', data: {} },
    ]);
    expect(live).toEqual({ ...NOTHING_YET, lastId: 3 });
  });
});
