import { describe, expect, it } from '@jest/globals';
import type { DatasetRow } from '@luthier/contracts';
import { toQuestion } from './question.js';

const row = (change: Partial<DatasetRow> = {}): DatasetRow => ({
  line: 3,
  messages: [
    { role: 'system', content: 'be kind' },
    { role: 'user', content: 'first' },
    { role: 'assistant', content: 'one' },
    { role: 'user', content: 'second' },
    { role: 'assistant', content: 'two' },
  ],
  facts: [],
  suite: null,
  ...change,
});

describe('a row as a question', () => {
  it('asks everything up to the last answer and expects that answer', () => {
    expect(toQuestion('f', true, row())).toMatchObject({ fileId: 'f', line: 3, question: 'second', expected: 'two' });
    expect(toQuestion('f', true, row())?.conversation.map(({ content }) => content)).toEqual([
      'be kind',
      'first',
      'one',
      'second',
    ]);
  });

  it('is grouped by its own suite, else by what it is', () => {
    const suiteOf = (heldOut: boolean, change: Partial<DatasetRow> = {}): string | undefined =>
      toQuestion('f', heldOut, row(change))?.suite;
    expect(suiteOf(true, { suite: 'refusals', facts: ['x'] })).toBe('refusals');
    expect(suiteOf(true, { facts: ['x'] })).toBe('facts');
    expect(suiteOf(true)).toBe('held-out');
    expect(suiteOf(false, { facts: ['x'] })).toBe('general');
  });

  it('asks of a pair what its chosen answer is, and nothing of an answer that was rated bad or of plain text', () => {
    expect(toQuestion('f', true, row({ rejected: 'no' }))).toMatchObject({ expected: 'two' });
    expect(toQuestion('f', true, row({ desirable: true }))).toMatchObject({ expected: 'two' });
    expect(toQuestion('f', true, row({ desirable: false }))).toBeUndefined();
    expect(toQuestion('f', true, row({ messages: [], text: 'once' }))).toBeUndefined();
  });

  it('is none when nobody asks or nobody answers', () => {
    expect(toQuestion('f', true, row({ messages: [{ role: 'user', content: 'q' }] }))).toBeUndefined();
    expect(toQuestion('f', true, row({ messages: [{ role: 'assistant', content: 'a' }] }))).toBeUndefined();
    const unasked = row({
      messages: [
        { role: 'system', content: 's' },
        { role: 'assistant', content: 'a' },
      ],
    });
    expect(toQuestion('f', true, unasked)).toBeUndefined();
  });
});
