import { describe, expect, it } from '@jest/globals';
import { CLOSE_LOGITS, Comparison, drift } from './compare-logits.js';
import type { ParityFigures } from './compare-logits.js';

const EXACT = { eightBits: false, merged: false };

function compare(...pairs: [source: number[], other: number[]][]): ParityFigures {
  const comparison = new Comparison();
  for (const [source, other] of pairs) comparison.add(Float32Array.from(source), Float32Array.from(other));
  return comparison.figures;
}

describe('comparing logits', () => {
  it('finds nothing where only a constant is added, and the divergence by hand where more is', () => {
    expect(
      compare([
        [1, 2, 3],
        [11, 12, 13],
      ]).meanKl,
    ).toBeCloseTo(0, 6);
    // Probabilities 1/2, 1/2 against 1/4, 3/4: ln 2 - 1/2 ln 3 + 1/2 ln ... = 1/2 ln(1/2 / 1/4) + 1/2 ln(1/2 / 3/4)
    const { meanKl, maxKl } = compare([
      [0, 0],
      [0, Math.log(3)],
    ]);
    expect(meanKl).toBeCloseTo(0.5 * Math.log(2) + 0.5 * Math.log(2 / 3), 6);
    expect(maxKl).toBe(meanKl);
  });

  it('takes another token for drift only where the source is sure', () => {
    const close = compare([
      [1, 1 - CLOSE_LOGITS / 2],
      [1, 1.01],
    ]);
    expect(close).toMatchObject({ otherTokens: 1, closeTokens: 1 });
    expect(drift(EXACT, close)).toBeNull();
    const sure = compare([
      [1, 1 - CLOSE_LOGITS * 2],
      [1, 1.01],
    ]);
    expect(drift(EXACT, sure)).toContain('another token at 1 of 1 positions');
  });

  it('holds eight bits and merged sums to their divergence', () => {
    const figures = { positions: 100, otherTokens: 9, closeTokens: 0, maxKl: 1 };
    const eightBits = { eightBits: true, merged: false };
    expect(drift(eightBits, { ...figures, meanKl: 0.0099 })).toBeNull();
    expect(drift(eightBits, { ...figures, meanKl: 0.0101 })).toContain('allowed are 0.01');
    const merged = { eightBits: false, merged: true };
    expect(drift(merged, { ...figures, meanKl: 0.0019 })).toBeNull();
    expect(drift(merged, { ...figures, meanKl: 0.0021 })).toContain('allowed are 0.002');
  });

  it('never takes what is not a number for the same', () => {
    expect(
      drift(
        EXACT,
        compare([
          [1, 2],
          [NaN, NaN],
        ]),
      ),
    ).toContain('not finite');
    expect(
      drift(
        { eightBits: true, merged: true },
        compare([
          [1, 2],
          [Infinity, 1],
        ]),
      ),
    ).toContain('not finite');
  });

  it('takes another vocabulary for drift, not for something that cannot be compared', () => {
    expect(() =>
      compare([
        [1, 2],
        [1, 2, 3],
      ]),
    ).toThrow(
      expect.objectContaining({
        code: 'model.export-drifted',
        message: expect.stringContaining('3 tokens in its vocabulary'),
      }),
    );
  });
});
