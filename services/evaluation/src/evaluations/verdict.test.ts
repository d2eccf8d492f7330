import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { EvaluationRecord } from '@luthier/contracts';
import { judge, signTest } from './verdict.js';

/** The same probability from whole numbers: binomials by Pascal's triangle, no logarithm anywhere. */
function naiveSignTest(won: number, lost: number): number {
  const n = won + lost;
  let row = [1n];
  for (let i = 0; i < n; i += 1) row = [1n, ...row.slice(1).map((value, j) => value + (row[j] ?? 0n)), 1n];
  const atLeast = row.reduce((sum, ways, k) => (k >= Math.max(won, lost) ? sum + ways : sum), 0n);
  const scaled = (2n * atLeast * 10n ** 18n) / 2n ** BigInt(n);
  return Math.min(1, Number(scaled) / 1e18);
}

type Sample = EvaluationRecord['samples'][number];
const samples = (count: number, base: boolean | null, tuned: boolean | null, suite = 'facts'): Sample[] =>
  Array.from({ length: count }, (_, i) => ({
    suite,
    line: i + 1,
    question: 'q',
    expected: 'e',
    facts: [],
    base: '',
    tuned: '',
    baseRight: base,
    tunedRight: tuned,
    notAnswered: null,
  }));
const unanswered = (count: number): Sample[] =>
  samples(count, null, null).map((sample) => ({ ...sample, facts: ['f'], notAnswered: 'Too long.' }));
const judged = (rows: Sample[], general?: { base: number; tuned: number; total: number }) =>
  judge({
    base: null,
    tuned: null,
    samples: rows,
    suites: general
      ? {
          general: {
            base: { right: general.base, total: general.total, share: general.base / general.total },
            tuned: { right: general.tuned, total: general.total, share: general.tuned / general.total },
          },
        }
      : {},
  });

describe('the sign test', () => {
  it('equals the count of all splits at least as uneven, for any numbers', () => {
    fc.assert(
      fc.property(fc.nat(120), fc.nat(120), (won, lost) => {
        expect(Math.abs(signTest(won, lost) - naiveSignTest(won, lost))).toBeLessThan(1e-9);
      }),
      {
        examples: [
          [0, 0],
          [1, 0],
          [120, 0],
          [60, 60],
        ],
      },
    );
  });

  it('does not care who won, and stays a probability for many rows', () => {
    fc.assert(
      fc.property(fc.nat(3_000), fc.nat(3_000), (won, lost) => {
        const p = signTest(won, lost);
        expect(p).toBe(signTest(lost, won));
        expect(p >= 0 && p <= 1).toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  it('knows the numbers of the textbooks', () => {
    expect(signTest(5, 0)).toBeCloseTo(0.0625, 12);
    expect(signTest(9, 1)).toBeCloseTo(22 / 1024, 12);
  });
});

describe('the verdict', () => {
  it('is better only when the difference is too large for chance', () => {
    expect(judged([...samples(6, false, true), ...samples(4, false, false)]).verdict).toBe('better');
    expect(judged([...samples(5, false, true), ...samples(5, false, false)]).verdict).toBe('not-shown');
    expect(judged([...samples(50, true, true)]).verdict).toBe('not-shown');
  });

  it('counts no row that could not be answered, and names the first of them', () => {
    const { verdict, verdictReason } = judged([...samples(6, false, true), ...unanswered(7)]);
    expect(verdict).toBe('better');
    expect(verdictReason).toContain('Right on 6 of 6');
    expect(verdictReason).toContain('Not answered and not counted: 7 of 13 rows. line 1 (facts): Too long. line 2');
    expect(verdictReason).toMatch(/line 5 \(facts\): Too long\. And 2 more\.$/);
    expect(judged([...unanswered(2), ...samples(1, true, true, 'general')])).toMatchObject({
      verdict: 'not-shown',
      verdictReason: expect.stringMatching(/^No held-out row that names facts could be answered\. Not answered/),
    });
  });

  it('is worse when the base wins beyond chance', () => {
    expect(judged(samples(8, true, false)).verdict).toBe('worse');
  });

  it('is not "better" when more than three tenths of the general answers are lost', () => {
    const won = samples(20, false, true);
    expect(judged(won, { base: 10, tuned: 7, total: 20 }).verdict).toBe('better');
    const forgot = judged(won, { base: 10, tuned: 6, total: 20 });
    expect(forgot.verdict).toBe('not-shown');
    expect(forgot.verdictReason).toMatch(/General questions: 6 of 20 right, the base 10\..*mix in more general rows/);
  });

  it('never counts general questions as held-out ones, nor rows that name no facts', () => {
    const unjudged = judged(samples(30, null, null, 'held-out'));
    expect(unjudged).toMatchObject({ verdict: 'not-shown', verdictReason: expect.stringContaining('name no facts') });
  });

  it('says of held-out rows that ask nothing that there was nothing to judge', () => {
    const side = { perplexity: 3, tokenAccuracy: 0.5, rougeL: null, factAccuracy: null };
    expect(judge({ base: side, tuned: side, samples: [], suites: {} })).toEqual({
      verdict: 'not-shown',
      verdictReason: expect.stringContaining('ask nothing'),
    });
  });

  it('proves nothing by general questions alone, and still counts what was forgotten', () => {
    expect(judged(samples(30, false, true, 'general'), { base: 10, tuned: 4, total: 30 })).toEqual({
      verdict: 'unproven',
      verdictReason: expect.stringMatching(/no held-out rows.* General questions: 4 of 30 right, the base 10\.$/),
    });
  });

  it('says the numbers it rests on', () => {
    expect(judged([...samples(8, false, true), ...samples(2, true, true)]).verdictReason).toBe(
      'Right on 10 of 10 held-out questions, the base on 2 (p = 0.008).',
    );
  });
});
