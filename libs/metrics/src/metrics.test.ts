import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { exactMatch, factsContained } from './facts.js';
import { longestCommonSubsequence, rougeL } from './rouge.js';
import { perplexity, wilsonInterval } from './statistics.js';

function naive(a: readonly string[], b: readonly string[]): number {
  if (a.length === 0 || b.length === 0) return 0;
  if (a[0] === b[0]) return 1 + naive(a.slice(1), b.slice(1));
  return Math.max(naive(a.slice(1), b), naive(a, b.slice(1)));
}

describe('metrics', () => {
  it('finds the longest common subsequence as a naive second implementation does', () => {
    const list = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 8 });
    fc.assert(fc.property(list, list, (a, b) => expect(longestCommonSubsequence(a, b)).toBe(naive(a, b))));
  });

  it('gives ROUGE-L 1 for equal texts, is symmetric and counts CJK by character', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) =>
        expect(rougeL(a, a) === 1 && rougeL(a, b) === rougeL(b, a)).toBe(true),
      ),
    );
    expect(rougeL('the cat sat', 'the cat ran')).toBeCloseTo(2 / 3);
    expect(rougeL('你好吗', '你好')).toBeCloseTo(0.8);
  });

  it.each([
    ['It costs 15 euros', '5', false],
    ['It costs 5 euros', '5', true],
    ['It costs 5.', '5', true],
    ['It costs 5.50', '5', false],
    ['1,000 pieces', '1000', true],
    ['1000 pieces', '1,000', true],
    ['ＡＢＣ Ltd.', 'abc ltd', true],
    ['concatenate', 'cat', false],
    ['within fourteen days', '14 days|fourteen days', true],
    ['价格是五元。', '五元', true],
    ['a-b', 'a b', true],
    ['', 'x', false],
    ['anything', '|', false],
  ])('in "%s" finds "%s": %s', (answer, fact, expected) => {
    expect(factsContained(answer, [fact])).toEqual([expected]);
  });

  it('matches exactly up to case, space and punctuation', () => {
    expect(exactMatch(' Yes. ', 'yes')).toBe(true);
    expect(exactMatch('yes', 'no')).toBe(false);
  });

  it('computes perplexity and intervals that hold the share', () => {
    expect(perplexity(Math.log(1 / 8) * 5, 5)).toBeCloseTo(8);
    const { low, high } = wilsonInterval(8, 10);
    expect([low, high].map((x) => x.toFixed(3))).toEqual(['0.490', '0.943']);
  });
});
