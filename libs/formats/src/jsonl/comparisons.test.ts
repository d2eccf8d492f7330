import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseTrainingRow } from './parse-training-row.js';
import { readTrainingRows } from './read-training-rows.js';
import type { TrainingRow } from './training-row.js';

const user = (content: string): object => ({ role: 'user', content });
const assistant = (content: string): object => ({ role: 'assistant', content });

/** Every way of writing one pair that is understood. */
const PAIR_SPELLINGS: readonly [string, (prompt: string, chosen: string, rejected: string) => object][] = [
  [
    'openai-preference',
    (p, c, r) => ({
      input: { messages: [user(p)] },
      preferred_output: [assistant(c)],
      non_preferred_output: [assistant(r)],
    }),
  ],
  [
    'openai-preference',
    (p, c, r) => ({
      input: { messages: [user(p)] },
      preferred_completion: [assistant(c)],
      non_preferred_completion: [assistant(r)],
    }),
  ],
  ['chosen-rejected', (prompt, chosen, rejected) => ({ prompt, chosen, rejected })],
  ['chosen-rejected', (p, c, r) => ({ prompt: [user(p)], chosen: [assistant(c)], rejected: [assistant(r)] })],
  ['chosen-rejected', (p, c, r) => ({ chosen: [user(p), assistant(c)], rejected: [user(p), assistant(r)] })],
  ['chosen-rejected', (p, c, r) => ({ prompt: p, chosen: [user(p), assistant(c)], rejected: [user(p), assistant(r)] })],
  [
    'chosen-rejected', // as published tables have it
    (p, c, r) => ({
      ...{ prompt: p, prompt_id: 'x', messages: [user(p), assistant(c)], score_chosen: 8, score_rejected: 2 },
      ...{ chosen: [user(p), assistant(c)], rejected: [user(p), assistant(r)] },
    }),
  ],
  [
    'sharegpt',
    (p, c, r) => ({
      conversations: [{ from: 'human', value: p }],
      chosen: { from: 'gpt', value: c },
      rejected: { from: 'gpt', value: r },
    }),
  ],
  ['alpaca', (instruction, chosen, rejected) => ({ instruction, input: '', output: '', chosen, rejected })],
  ['chat', (p, c, r) => ({ messages: [user(p)], chosen: assistant(c), rejected: assistant(r) })],
];

const RATING_SPELLINGS: readonly [string, (prompt: string, answer: string, good: boolean) => object][] = [
  ['prompt-completion', (prompt, completion, label) => ({ prompt, completion, label })],
  ['prompt-completion', (p, a, label) => ({ prompt: [user(p)], completion: [assistant(a)], label })],
  ['chat', (p, a, label) => ({ messages: [user(p), assistant(a)], label })],
  ['chat', (p, a, kto_tag) => ({ messages: [user(p), assistant(a)], kto_tag })],
  [
    'sharegpt',
    (p, a, kto_tag) => ({
      conversations: [
        { from: 'human', value: p },
        { from: 'gpt', value: a },
      ],
      kto_tag,
    }),
  ],
  ['alpaca', (instruction, output, kto_tag) => ({ instruction, output, kto_tag })],
];

const words = fc.string({ minLength: 1, maxLength: 30 }).filter((text) => text.trim() !== '');
function rowOf(json: object): TrainingRow {
  const parsed = parseTrainingRow(json);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues));
  return parsed.row;
}

describe('pairs', () => {
  it('mean the same however they are written', () => {
    fc.assert(
      fc.property(words, words, words, (prompt, chosen, rejected) => {
        fc.pre(chosen.trim() !== rejected.trim());
        for (const [format, write] of PAIR_SPELLINGS) {
          expect(rowOf(write(prompt, chosen, rejected))).toEqual({
            ...{ kind: 'pairs', format, chosen, rejected },
            prompt: [{ role: 'user', content: prompt }],
          });
        }
      }),
    );
  });

  it('keep the turns before the answers, and the fields for evaluation', () => {
    const turns = [{ role: 'system', content: 'S' }, user('a'), assistant('b'), user('c')];
    const row = rowOf({
      ...{ chosen: [...turns, assistant('good')], rejected: [...turns, assistant('bad')] },
      ...{ facts: ['good'], suite: 'prices' },
    });
    expect(row).toMatchObject({ kind: 'pairs', chosen: 'good', rejected: 'bad', facts: ['good'], suite: 'prices' });
    expect(row.kind === 'pairs' && row.prompt.map(({ role }) => role)).toEqual(['system', 'user', 'assistant', 'user']);
  });

  it.each([
    ['equal answers', { prompt: 'p', chosen: 'a', rejected: ' a ' }, 'same-answers', 'rejected'],
    ['no worse answer', { prompt: 'p', chosen: 'a' }, 'missing-field', 'rejected'],
    ['no better answer', { prompt: 'p', chosen: null, rejected: 'a' }, 'missing-field', 'chosen'],
    ['an empty answer', { prompt: 'p', chosen: 'a', rejected: '' }, 'empty-field', 'rejected'],
    ['no prompt', { chosen: 'a', rejected: 'b' }, 'missing-field', 'prompt'],
    [
      'a prompt that is answered',
      { messages: [user('p'), assistant('x')], chosen: 'a', rejected: 'b' },
      'no-prompt',
      null,
    ],
    [
      'a system message alone',
      { messages: [{ role: 'system', content: 's' }], chosen: 'a', rejected: 'b' },
      'no-prompt',
      null,
    ],
    ['an answer of the user', { prompt: 'p', chosen: [user('a')], rejected: 'b' }, 'bad-role', 'chosen'],
    ['a third answer', { instruction: 'p', output: 'x', chosen: 'a', rejected: 'b' }, 'mixed-kind', 'output'],
    ['a list of answers', { prompt: 'p', chosen: 'a', rejected: ['b', 'c', 'd'] }, 'wrong-type', 'chosen'],
    [
      'conversations that differ earlier',
      { chosen: [user('p'), assistant('a')], rejected: [user('q'), assistant('b')] },
      ...(['different-prompts', 'rejected'] as const),
    ],
    [
      'another prompt than the conversations have',
      { prompt: 'x', chosen: [user('p'), assistant('a')], rejected: [user('p'), assistant('b')] },
      ...(['different-prompts', 'prompt'] as const),
    ],
    [
      'a conversation without its answer',
      { chosen: [user('p'), user('a')], rejected: [user('p'), assistant('b')] },
      ...(['no-assistant-turn', 'chosen'] as const),
    ],
    [
      'no input',
      { preferred_output: [assistant('a')], non_preferred_output: [assistant('b')] },
      'missing-field',
      'input',
    ],
    [
      'two preferred answers',
      {
        input: { messages: [user('p')] },
        preferred_output: [assistant('a'), assistant('b')],
        non_preferred_output: 'c',
      },
      ...(['wrong-type', 'preferred_output'] as const),
    ],
  ])('are refused with %s, with the field and a fix', (_what, json, code, field) => {
    const parsed = parseTrainingRow(json);
    expect(!parsed.ok && parsed.issues[0]).toMatchObject({ code, field, hint: expect.stringMatching(/\w/) });
  });
});

describe('ratings', () => {
  it('mean the same however they are written', () => {
    fc.assert(
      fc.property(words, words, fc.boolean(), (prompt, answer, desirable) => {
        for (const [format, write] of RATING_SPELLINGS) {
          expect(rowOf(write(prompt, answer, desirable))).toEqual({
            ...{ kind: 'ratings', format, desirable },
            messages: [
              { role: 'user', content: prompt },
              { role: 'assistant', content: answer },
            ],
          });
        }
      }),
    );
  });

  it.each([
    ['a number as label', { prompt: 'p', completion: 'c', label: 1 }, 'wrong-type', 'label'],
    ['a word as label', { prompt: 'p', completion: 'c', label: 'false' }, 'wrong-type', 'label'],
    ['another tag', { instruction: 'i', output: 'o', kto_tag: 'good' }, 'wrong-type', 'kto_tag'],
    ['no answer', { messages: [user('p')], label: true }, 'no-assistant-turn', null],
    ['nothing that was asked', { messages: [assistant('a')], label: true }, 'no-prompt', null],
  ])('are refused with %s, with the field and a fix', (_what, json, code, field) => {
    const parsed = parseTrainingRow(json);
    expect(!parsed.ok && parsed.issues[0]).toMatchObject({ code, field, hint: expect.stringMatching(/\w/) });
  });

  it('are not made of a label that says something else', () => {
    expect(rowOf({ prompt: 'p', completion: 'c', label: 'sports' }).kind).toBe('examples');
  });
});

describe('plain text', () => {
  it('is a row of its own, but not where other fields say more', () => {
    expect(rowOf({ text: 'Once {{ upon }} a time.' })).toEqual({
      ...{ kind: 'text', format: 'text', text: 'Once {{ upon }} a time.' },
    });
    expect(rowOf({ text: 'rendered', instruction: 'i', output: 'o' }).kind).toBe('examples');
    expect(parseTrainingRow({ text: ' ' })).toMatchObject({ ok: false, issues: [{ code: 'empty-field' }] });
  });
});

it('never throws, whatever stands in the fields of pairs and ratings', () => {
  const field = fc.constantFrom(
    ...['prompt', 'chosen', 'rejected', 'input', 'preferred_output', 'non_preferred_output', 'conversations'],
    ...['messages', 'kto_tag', 'label', 'text'],
  );
  const message = fc.dictionary(fc.constantFrom('role', 'content', 'from', 'value', 'messages'), fc.jsonValue());
  const value = fc.oneof(fc.jsonValue(), message, fc.array(message));
  fc.assert(fc.property(fc.dictionary(field, value), (json) => void parseTrainingRow(json)));
});

it('a file holds rows of one kind; others are named by their line', async () => {
  const lines = [
    { prompt: 'p', completion: 'c', label: true },
    { prompt: 'p', completion: 'd' },
    { prompt: 'p', chosen: 'a', rejected: 'b' },
  ];
  const found: [number, (string | undefined)[]][] = [];
  const content = [Buffer.from(lines.map((line) => JSON.stringify(line)).join('\n'))];
  async function* stream(): AsyncGenerator<Uint8Array> {
    yield* content;
  }
  for await (const { line, issues } of readTrainingRows(stream())) found.push([line, issues.map(({ code }) => code)]);
  expect(found).toEqual([
    [1, []],
    [2, ['mixed-kind']],
    [3, ['mixed-kind']],
  ]);
});
