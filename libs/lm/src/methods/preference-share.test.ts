import { describe, expect, it } from '@jest/globals';
import { preferenceShare, preferenceTotals } from './preference-share.js';
import type { ComparedRow, Likelihoods, PreferenceSettings } from './preference-share.js';

const ROWS: readonly ComparedRow[] = [3, 5, 2, 7].map((trainedCount, i) => ({ trainedCount, wanted: i % 2 === 0 }));
const found = (policy: readonly number[]): Likelihoods => ({
  policy: Float64Array.from(policy),
  reference: Float64Array.of(-4.2, -6.1, -1.9, -8.8),
  mismatched: Float64Array.of(0.4, 0.3, -0.1, 0.2),
});
const POLICY = [-4, -6.5, -2.2, -8.1];

const SETTINGS: readonly [string, PreferenceSettings][] = [
  ['dpo', { type: 'dpo', loss: 'sigmoid', beta: 0.3, labelSmoothing: 0 }],
  ['dpo with smoothing', { type: 'dpo', loss: 'sigmoid', beta: 0.3, labelSmoothing: 0.2 }],
  ['ipo', { type: 'dpo', loss: 'ipo', beta: 0.3, labelSmoothing: 0 }],
  ['hinge', { type: 'dpo', loss: 'hinge', beta: 0.3, labelSmoothing: 0 }],
  ['simpo', { type: 'simpo', beta: 2, gamma: 0.5 }],
  ['orpo', { type: 'orpo', beta: 0.4 }],
  ['kto', { type: 'kto', beta: 0.3, desirableWeight: 1.5, undesirableWeight: 0.7 }],
];

describe('losses over preferences', () => {
  it.each(SETTINGS)('%s has the slopes that finite differences find', (_name, settings) => {
    const totals = preferenceTotals(ROWS, settings.type === 'kto' ? 1 : 2);
    const { slopes } = preferenceShare(settings, ROWS, found(POLICY), totals);
    const lossAt = (row: number, step: number): number =>
      preferenceShare(settings, ROWS, found(POLICY.map((value, i) => value + (i === row ? step : 0))), totals).loss;
    const h = 1e-5;
    slopes.forEach((slope, row) => {
      expect(slope).toBeCloseTo((lossAt(row, h) - lossAt(row, -h)) / (2 * h), 7);
      expect(slope).not.toBe(0);
    });
  });

  it('starts at log 2 (dpo) and one half (kto) where policy and reference are one', () => {
    const same = { policy: found([]).reference, reference: found([]).reference, mismatched: new Float64Array(4) };
    const dpo = preferenceShare(
      { type: 'dpo', loss: 'sigmoid', beta: 0.1, labelSmoothing: 0 },
      ROWS,
      same,
      preferenceTotals(ROWS, 2),
    );
    expect(dpo.loss).toBeCloseTo(Math.LN2, 12);
    expect(dpo.metrics).toEqual({ rewardAccuracy: 0, rewardMargin: 0 });
    const kto = { type: 'kto', beta: 0.1, desirableWeight: 1, undesirableWeight: 1 } as const;
    expect(preferenceShare(kto, ROWS, same, preferenceTotals(ROWS, 1)).loss).toBeCloseTo(0.5, 12);
  });

  it('adds up over micro-batches to what the whole batch has', () => {
    for (const [, settings] of SETTINGS) {
      const rowsPerUnit = settings.type === 'kto' ? 1 : 2;
      const totals = preferenceTotals(ROWS, rowsPerUnit);
      const part = (from: number, to: number) => {
        const { policy, reference, mismatched } = found(POLICY);
        const own = { policy: policy.slice(from, to), reference: reference.slice(from, to), mismatched };
        return preferenceShare(settings, ROWS.slice(from, to), own, totals);
      };
      const whole = part(0, 4);
      const [a, b] = [part(0, 2), part(2, 4)];
      expect(a.loss + b.loss).toBeCloseTo(whole.loss, 12);
      for (const [name, value] of Object.entries(whole.metrics))
        expect((a.metrics[name] ?? 0) + (b.metrics[name] ?? 0)).toBeCloseTo(value, 12);
    }
  });

  it('has no metrics of KTO where all rows are of one kind', () => {
    const rows = ROWS.map((row) => ({ ...row, wanted: true }));
    const kto = { type: 'kto', beta: 0.1, desirableWeight: 1, undesirableWeight: 1 } as const;
    expect(preferenceShare(kto, rows, found(POLICY), preferenceTotals(rows, 1)).metrics).toEqual({});
  });
});
