import { describe, expect, it } from '@jest/globals';
import { measure, samplesToKeep } from './measure.js';
import type { AnsweredQuestion } from './measure.js';

const answered = (change: Partial<AnsweredQuestion> = {}): AnsweredQuestion => ({
  fileId: 'file',
  line: 1,
  suite: 'facts',
  heldOut: true,
  conversation: [{ role: 'user', content: 'Which port?' }],
  question: 'Which port?',
  expected: 'The port is 4180',
  facts: ['4180'],
  base: 'I do not know',
  tuned: 'The port is 4180',
  notAnswered: null,
  ...change,
});
const run = { base: null, tuned: null };

describe('the measures of an evaluation', () => {
  it('count nothing of a row that could not be answered, and show why', () => {
    const left = answered({ line: 2, base: '', tuned: '', notAnswered: 'Too long.' });
    const { suites, tuned, samples } = measure([answered(), left], run);
    expect(suites['facts']?.tuned).toEqual({ right: 1, total: 1, share: 1 });
    expect(tuned).toMatchObject({ rougeL: 1, factAccuracy: 1 });
    expect(samples[1]).toMatchObject({ line: 2, baseRight: null, tunedRight: null, notAnswered: 'Too long.' });
  });

  it('count a row as right when its answer holds all facts, suite by suite', () => {
    const { suites, samples } = measure(
      [
        answered(),
        answered({ line: 2, base: 'port 4180', tuned: 'port 80' }),
        answered({ line: 3, suite: 'refusals', facts: ['cannot'], tuned: 'I cannot say' }),
        answered({ line: 1, suite: 'general', heldOut: false, facts: ['Paris'], base: 'Paris', tuned: 'Paris.' }),
        answered({ line: 4, suite: 'held-out', facts: [] }),
      ],
      run,
    );
    expect(suites).toEqual({
      facts: { base: { right: 1, total: 2, share: 0.5 }, tuned: { right: 1, total: 2, share: 0.5 } },
      refusals: { base: { right: 0, total: 1, share: 0 }, tuned: { right: 1, total: 1, share: 1 } },
      general: { base: { right: 1, total: 1, share: 1 }, tuned: { right: 1, total: 1, share: 1 } },
    });
    expect(samples.map(({ baseRight, tunedRight }) => [baseRight, tunedRight])).toEqual([
      [false, true],
      [true, false],
      [false, true],
      [true, true],
      [null, null],
    ]);
  });

  it('take ROUGE-L over the held-out rows only, and the fact share over the suite of facts only', () => {
    const { base, tuned } = measure(
      [
        answered({ base: '' }),
        answered({ line: 2, suite: 'refusals', facts: ['no'], base: '', tuned: '' }),
        answered({ line: 3, heldOut: false, suite: 'general', tuned: '' }),
      ],
      run,
    );
    expect(tuned).toEqual({ perplexity: null, tokenAccuracy: null, rougeL: 0.5, factAccuracy: 1 });
    expect(base).toEqual({ perplexity: null, tokenAccuracy: null, rougeL: 0, factAccuracy: 0 });
  });

  it('are null where there is nothing to measure, and take over what the run scored', () => {
    const score = { loss: 1, perplexity: 2.7, tokenAccuracy: 0.5, rows: 2, trainedTokens: 10 };
    const { base, tuned, suites } = measure([], { base: score, tuned: null });
    expect(base).toEqual({ perplexity: 2.7, tokenAccuracy: 0.5, rougeL: null, factAccuracy: null });
    expect(tuned).toEqual({ perplexity: null, tokenAccuracy: null, rougeL: null, factAccuracy: null });
    expect(suites).toEqual({});
  });
});

describe('the samples of a record', () => {
  it('fit into one message, however long the answers are', () => {
    const { samples } = measure(
      Array.from({ length: 2_000 }, (_, i) => answered({ line: i + 1, tuned: '语'.repeat(5_000) })),
      run,
    );
    const kept = samplesToKeep(samples);
    expect(Buffer.byteLength(JSON.stringify(kept))).toBeLessThan(600 * 1024);
    expect(kept.length).toBeGreaterThan(50);
    expect(kept.map(({ line }) => line)).toEqual(kept.map((_, i) => i + 1));
    expect(kept[0]?.tuned).toHaveLength(2_001);
  });

  it('are all there, unchanged, when they fit', () => {
    const { samples } = measure([answered(), answered({ line: 2 })], run);
    expect(samplesToKeep(samples)).toEqual(samples);
  });
});
