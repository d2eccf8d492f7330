import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { characterTokenizer } from '../../../../test/fixtures/character-tokenizer.js';
import { TINY_CHAT, writeTinyChatModel } from '../../../../test/fixtures/tiny-llama.js';
import { huggingFaceTokenizerEntries } from './hugging-face-tokenizer.js';
import type { GgufEntry } from './write-gguf.js';

interface Json {
  readonly added_tokens: readonly object[];
  readonly model: { readonly merges: readonly string[]; readonly vocab: Readonly<Record<string, number>> };
}

let dir = '';
let json: Json;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tokenizer-'));
  await writeTinyChatModel(dir);
  json = JSON.parse(await readFile(join(dir, 'tokenizer.json'), 'utf8')) as Json;
});
afterAll(async () => rm(dir, { recursive: true, force: true }));

/** The entries of the tiny model's tokenizer with other fields. `change` is text where an object cannot hold it. */
async function entriesOf(change: object | string): Promise<Map<string, GgufEntry>> {
  const text = typeof change === 'string' ? change : JSON.stringify({ ...json, ...change });
  await writeFile(join(dir, 'tokenizer.json'), text);
  return new Map(await huggingFaceTokenizerEntries(dir, TINY_CHAT));
}

const sequence = { Sequence: { id: 'A', type_id: 0 } };
const special = (id: string): object => ({ SpecialToken: { id, type_id: 0 } });
const processor = (...single: object[]): object => ({ type: 'TemplateProcessing', single });
const template = (...single: object[]): object => ({ post_processor: processor(...single) });

describe('the token before a text', () => {
  it('is none where the template puts none there', async () => {
    const entries = await entriesOf(template(sequence));
    expect(entries.get('tokenizer.ggml.add_bos_token')).toEqual({ type: 'bool', value: false });
  });

  it('is the one that the template names, whatever the configuration calls so', async () => {
    const entries = await entriesOf(template(special('<|im_start|>'), sequence));
    expect(entries.get('tokenizer.ggml.add_bos_token')).toEqual({ type: 'bool', value: true });
    expect(entries.get('tokenizer.ggml.bos_token_id')).toEqual({ type: 'uint32', value: 1 });
  });

  it.each([
    ['two of them', template(special('<|im_start|>'), special('<|im_end|>'), sequence)],
    ['one that is no token', template(special('<s>'), sequence)],
    ['two templates', { post_processor: { type: 'Sequence', processors: [processor(sequence), processor(sequence)] } }],
  ])('is refused: %s', async (_what, change) => {
    await expect(entriesOf(change)).rejects.toMatchObject({ details: { field: 'post_processor' } });
  });
});

describe('a vocabulary', () => {
  it('keeps tokens that are called as parts of JavaScript objects are', async () => {
    const text = JSON.stringify({ ...json, model: { ...json.model, vocab: { ...json.model.vocab, PROTO: 261 } } });
    const tokens = (await entriesOf(text.replace('"PROTO"', '"__proto__"'))).get('tokenizer.ggml.tokens');
    expect(tokens).toMatchObject({ value: expect.arrayContaining(['__proto__']) });
  });

  it('with a token twice is refused: llama.cpp would end the process that reads it', async () => {
    const added = { added_tokens: [...json.added_tokens, { id: 262, content: '!', special: false }] };
    await expect(entriesOf(added)).rejects.toMatchObject({ code: 'format.duplicate', details: { token: '!' } });
    const other = { added_tokens: [...json.added_tokens, { id: 3, content: '<other>', special: false }] };
    await expect(entriesOf(other)).rejects.toMatchObject({ code: 'format.duplicate' });
  });
});

describe('what llama.cpp does not know of a byte-level tokenizer is refused by name', () => {
  it.each([
    ['added_tokens.0', () => ({ added_tokens: [{ ...json.added_tokens[0], lstrip: true }] })],
    ['added_tokens.0', () => ({ added_tokens: [{ ...json.added_tokens[0], single_word: true }] })],
    ['model.dropout', () => ({ model: { ...json.model, dropout: 0.1 } })],
    ['model.continuing_subword_prefix', () => ({ model: { ...json.model, continuing_subword_prefix: '##' } })],
    ['model.end_of_word_suffix', () => ({ model: { ...json.model, end_of_word_suffix: '</w>' } })],
  ])('%s', async (field, change) => {
    await expect(entriesOf(change())).rejects.toMatchObject({ code: 'format.unsupported', details: { field } });
  });
});

it('a tokenizer with byte fallback whose tokens are longer than any that is published is refused, not worked on for hours', async () => {
  const { vocabSize, json: characters } = characterTokenizer({ spaces: 'Gemma', texts: ['abc'], special: [] });
  const { model } = characters as unknown as Json;
  const vocab = { ...model.vocab, ['a'.repeat(1_000_000)]: vocabSize };
  await writeFile(join(dir, 'tokenizer.json'), JSON.stringify({ ...characters, model: { ...model, vocab } }));
  await expect(huggingFaceTokenizerEntries(dir, { ...TINY_CHAT, vocabSize: vocabSize + 1 })).rejects.toMatchObject({
    code: 'format.too-large',
  });
});
