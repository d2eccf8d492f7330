import { afterAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SPACE_FIELDS, characterTokenizer } from '../../../test/fixtures/character-tokenizer.js';
import { ChatTemplate } from './chat-template.js';
import { encodeConversation, encodePrompt } from './encode-conversation.js';
import { LibraryTokenizer } from './plain-encoder.js';
import { TextTokenizer } from './tokenizer.js';

const WORDS = ['hello world, hello', 'a question and an answer', '  more   spaces', '</s> café'];
const jsonOf = (spaces: string): Record<string, unknown> =>
  characterTokenizer({ spaces, texts: WORDS, special: ['<s>', '</s>', '[INST]', '[/INST]'] }).json;
const made = (spaces: string, change: object = {}): TextTokenizer =>
  new TextTokenizer({ ...jsonOf(spaces), ...change }, {});
const modelOf = (change: object): object => ({ ...(jsonOf('Llama 2')['model'] as object), ...change });
const template = new ChatTemplate(
  `<s>{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %} {{ m.content }}</s>{% endif %}{% endfor %}`,
);
afterAll(async () => template.close());

const turns = (...contents: string[]): { role: 'user' | 'assistant'; content: string }[] =>
  contents.map((content, i) => ({ role: i % 2 === 0 ? ('user' as const) : ('assistant' as const), content }));
const bytesOf = (tokenizer: TextTokenizer, text: string, isStart?: boolean): number[] => [
  ...tokenizer.encodePlain(text, isStart).sizesBytes,
];

describe.each(Object.keys(SPACE_FIELDS))('a tokenizer that writes spaces as %s does', (spaces) => {
  const tokenizer = made(spaces);
  const part = fc.oneof(fc.constantFrom(...WORDS, ' ', '\n', '你', '🙂', '▁', '</s>', '<0x41>'), fc.string());
  const text = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join(''));

  it('gives what the library gives for a text with special tokens in it', () => {
    const full = new LibraryTokenizer(jsonOf(spaces), {});
    for (const sample of ['<s>[INST] hello world [/INST] a 你 answer</s>', 'hello<s>hello', ' hello</s> world', 'x'])
      expect([...tokenizer.encode(sample)]).toEqual(full.encode(sample, { add_special_tokens: false }).ids);
  });

  it('says where each token lies, whatever the text holds', () => {
    fc.assert(
      fc.property(text, fc.boolean(), (sample, isStart) => {
        const { ids, sizesBytes } = tokenizer.encodePlain(sample, isStart);
        expect(sizesBytes.reduce((sum, size) => sum + size, 0)).toBe(Buffer.byteLength(sample));
        expect(Math.min(0, ...sizesBytes)).toBe(0);
        expect(ids.every((id) => id > 4)).toBe(true);
      }),
    );
  });

  it('trains exactly the answers, and gives the model the same prompt in training and in use', async () => {
    await fc.assert(
      fc.asyncProperty(text, text, async (question, answer) => {
        const messages = turns(question, answer, question, answer);
        const row = await encodeConversation({
          messages,
          tokenizer,
          template,
          cutoffLength: 4096,
          maskPolicy: 'assistant',
        });
        const [asked, answered] = [question.replaceAll('▁', ' '), answer.replaceAll('▁', ' ')];
        // The library takes the first space of what it decodes away, so a token goes before it.
        const trained = tokenizer.decode([1, ...row.tokens.filter((_, i) => row.trained[i] === 1)]);
        const isPrefixed = spaces === 'Llama 2';
        const space = isPrefixed ? '  ' : ' ';
        expect(trained).toBe(`<s>${space}${answered}</s>${space}${answered}</s>`);
        const turn = `[INST]${space}${asked} [/INST]${space}${answered}</s>`;
        expect(tokenizer.decode(row.tokens)).toBe(`<s>${turn}${turn}`);
        const prompt = await encodePrompt({ messages: messages.slice(0, 3), tokenizer, template });
        expect(row.tokens.slice(0, row.promptLength)).toEqual(prompt);
      }),
      { numRuns: 50 },
    );
  });
});

describe('a tokenizer with byte fallback', () => {
  it('counts the space before a text to no byte of it, and bytes one by one', () => {
    expect(bytesOf(made('Llama 2'), 'x')).toEqual([0, 1]);
    expect(bytesOf(made('Llama 2'), ' x')).toEqual([1, 1]);
    expect(bytesOf(made('Gemma'), 'x🙂')).toEqual([1, 1, 1, 1, 1]);
    expect(bytesOf(made('Metaspace, always'), 'x', false)).toEqual([0, 1]);
    expect(bytesOf(made('Metaspace, first'), 'x', false)).toEqual([1]);
  });

  it('never makes a special token of text, even where merges lead to it', () => {
    const { vocab, merges } = modelOf({}) as { vocab: Record<string, number>; merges: string[] };
    const withEnd = modelOf({
      vocab: { ...vocab, '</': 9000, 's>': 9001 },
      merges: ['< /', 's >', '</ s>', ...merges],
    });
    const tokenizer = made('Llama 2', { model: withEnd });
    expect([...tokenizer.encodePlain('</s>').ids].slice(-2)).toEqual([9000, 9001]);
    expect([...tokenizer.encode('</s>')]).toEqual([2]);
  });

  it('refuses text for parts of which it has no token', () => {
    const { vocab } = modelOf({}) as { vocab: Record<string, number> };
    const { '<0xF0>': _, ...rest } = vocab;
    const tokenizer = made('Llama 2', { model: modelOf({ vocab: rest }) });
    expect(() => tokenizer.encodePlain('🙂')).toThrow(
      expect.objectContaining({ code: 'text.tokenizer-unsupported', details: { field: 'model.vocab' } }),
    );
  });

  const metaspace = SPACE_FIELDS['Metaspace, first']?.pre_tokenizer;
  it.each([
    ['normalizer', { normalizer: { type: 'Lowercase' } }],
    ['normalizer', { normalizer: { type: 'NFC' } }],
    ['pre_tokenizer', { pre_tokenizer: { type: 'Digits', individual_digits: true } }],
    ['pre_tokenizer.type', { normalizer: null, pre_tokenizer: { type: 'ByteLevel' } }],
    ['pre_tokenizer.split', { normalizer: null, pre_tokenizer: { ...metaspace, split: true } }],
    ['pre_tokenizer.prepend_scheme', { normalizer: null, pre_tokenizer: { ...metaspace, prepend_scheme: 'last' } }],
    ['added_tokens.0.normalized', { added_tokens: [{ id: 1, content: '<s>', normalized: true, special: true }] }],
  ])('is refused by the name of what is not supported: %s', (field, change) => {
    expect(() => made('Llama 2', change)).toThrow(
      expect.objectContaining({ code: 'text.tokenizer-unsupported', details: { field } }),
    );
  });
});
