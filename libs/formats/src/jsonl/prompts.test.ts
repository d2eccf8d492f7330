import { describe, expect, it } from '@jest/globals';
import { parseTrainingRow } from './parse-training-row.js';

const user = (content: string): object => ({ role: 'user', content });
const assistant = (content: string): object => ({ role: 'assistant', content });

describe('prompts for graders', () => {
  it('are conversations that end with the user, with whatever else stands in the row as what to judge by', () => {
    const messages = [user('a'), assistant('b'), user('Capital of France?')];
    const parsed = parseTrainingRow({
      ...{ messages, answer: 'Paris', points: [1, { of: 2 }], none: null },
      ...{ tools: [], parallel_tool_calls: false, facts: ['Paris'], suite: 'capitals' },
    });
    expect(parsed).toMatchObject({
      ok: true,
      row: { kind: 'prompts', format: 'chat', messages, facts: ['Paris'], suite: 'capitals' },
    });
    expect(parsed.ok && parsed.row.kind === 'prompts' && parsed.row.item).toEqual({
      ...{ answer: 'Paris', points: [1, { of: 2 }], none: null },
    });
  });

  it.each([
    ['a label that is an answer', { messages: [user('Which?')], label: 'spam' }, 'prompts'],
    ['a label beside more', { messages: [user('Yes?')], label: true, why: 'x' }, 'prompts'],
    ['an answer of the assistant', { messages: [user('a'), assistant('b')], answer: 'b' }, 'examples'],
    ['a rated answer', { messages: [user('a'), assistant('b')], label: true }, 'ratings'],
    ['two answers', { messages: [user('a')], chosen: 'b', rejected: 'c', other: 1 }, 'pairs'],
  ])('are told by their fields from rows with %s', (_what, json, kind) => {
    expect(parseTrainingRow(json)).toMatchObject({ ok: true, row: { kind } });
  });

  it('without a field to judge by are examples without an answer, and the hint says both ways out', () => {
    const parsed = parseTrainingRow({ messages: [user('a')], facts: ['x'] });
    const [issue] = parsed.ok ? [] : parsed.issues;
    expect(issue).toMatchObject({
      code: 'no-assistant-turn',
      hint: expect.stringMatching(/assistant message.*grader/),
    });
  });
});
