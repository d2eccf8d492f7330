import { describe, expect, it } from '@jest/globals';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ggufToHuggingFace, huggingFaceToGguf } from '@luthier/formats';
import { LogitReader } from '@luthier/llama-cpp';
import { tempDir } from '@luthier/testing';
import { loadTokenizer } from '@luthier/text';
import { SPACE_FIELDS, characterTokenizer } from '../fixtures/character-tokenizer.js';
import { byteAlphabet, writeTinyChatModel } from '../fixtures/tiny-llama.js';

const TEXTS = [
  "Hello World! I'm sure they'LL say it's we've-been HE'S don't",
  '你好，世界！今天是2024年08月15日，天气不错。',
  '1 12 123 1234 12345678 3.14159 v2x4 a1b22c333',
  'for (let i = 0; i < 10; i++) {\n\tconsole.log(`${i}`);\n}\r\n\r\n',
  'emoji 🎻🚀👩‍👩‍👧 and  two   three    spaces\t\ttabs \n\n\n end  ',
  '   leading, Ελλάδα Москва naïve café ...!?!\n',
  '<|im_start|>user\nspecial<|im_end|>\n',
];
/** The library of our tokenizer takes only ASCII for the digits of `Digits` (SmolLM); the reference and llama.cpp do not. */
const OTHER_DIGITS = 'in 2024 or ١٢٣٤ or १२३';
const textsFor = (kind: string): string[] => (kind === 'SmolLM' ? TEXTS : [...TEXTS, OTHER_DIGITS]);
const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };
const split = (digits: string): object => ({
  type: 'Sequence',
  pretokenizers: [
    {
      type: 'Split',
      // As published with Llama 3 and Qwen 2.
      pattern: {
        Regex: `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
      },
      behavior: 'Isolated',
      invert: false,
    },
    { ...byteLevel, use_regex: false },
  ],
});
const TOKENIZERS: Record<string, { pre: object; ignoreMerges?: boolean; normalizer?: object }> = {
  'GPT-2': { pre: { ...byteLevel, use_regex: true } },
  SmolLM: {
    pre: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Digits', individual_digits: true },
        { ...byteLevel, use_regex: true },
      ],
    },
  },
  'Llama 3': { pre: split('\\p{N}{1,3}'), ignoreMerges: true },
  'Qwen 2': { pre: split('\\p{N}'), normalizer: { type: 'NFC' } },
};

/** Any two bytes beside each other in a text, and some more: what is not merged was split there. */
function mergesOf(texts: readonly string[]): string[] {
  const alphabet = byteAlphabet();
  const merges = new Set<string>();
  for (const text of texts) {
    const letters = Array.from(Buffer.from(text), (byte) => alphabet[byte] ?? '');
    for (let i = 1; i < letters.length; i += 1) merges.add(`${letters[i - 1]} ${letters[i]}`);
    for (let i = 3; i < letters.length; i += 2)
      merges.add(`${letters.slice(i - 3, i - 1).join('')} ${letters.slice(i - 1, i + 1).join('')}`);
  }
  return [...merges];
}

async function writeModel(dir: string, kind: string): Promise<void> {
  const merges = mergesOf(textsFor(kind));
  const special = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];
  const words = [...new Set([...special, ...byteAlphabet(), ...merges.map((merge) => merge.replace(' ', ''))])];
  await writeTinyChatModel(dir, { layers: 1, vocabSize: words.length });
  const path = join(dir, 'tokenizer.json');
  const json = JSON.parse(await readFile(path, 'utf8')) as { model: object };
  const { pre, ignoreMerges = false, normalizer = null } = TOKENIZERS[kind] ?? { pre: {} };
  const vocab = Object.fromEntries(words.map((word, id) => [word, id]));
  const model = { ...json.model, vocab, merges, ignore_merges: ignoreMerges };
  await writeFile(path, JSON.stringify({ ...json, normalizer, pre_tokenizer: pre, model }));
}

async function idsOf(dir: string, texts: readonly string[]): Promise<number[][]> {
  const tokenizer = await loadTokenizer(dir);
  return texts.map((text) => Array.from(tokenizer.encode(text)));
}

/** Takes a model to GGUF and back: the ids that llama.cpp gives of the texts, and the folder that came back. */
async function thereAndBack(dir: string, texts: readonly string[]): Promise<{ theirs: number[][]; back: string }> {
  const [ggufPath, back] = [join(dir, 'model.gguf'), join(dir, 'back')];
  await huggingFaceToGguf({ modelDir: join(dir, 'model'), ggufPath });
  const reader = await LogitReader.open(ggufPath);
  const theirs = texts.map((text) => reader.tokenize(text));
  await reader.dispose();
  await ggufToHuggingFace({ ggufPath, outDir: back });
  return { theirs, back };
}

describe.each(Object.keys(TOKENIZERS))('a tokenizer that splits as %s does', (kind) => {
  it('gives the same ids in llama.cpp, and after it came back from GGUF', async () => {
    const texts = textsFor(kind);
    expect(texts).toEqual(texts.map((text) => text.normalize('NFC')));
    const dir = await tempDir('tokenizer');
    const modelDir = join(dir, 'model');
    await writeModel(modelDir, kind);
    const { theirs, back } = await thereAndBack(dir, texts);
    const ours = await idsOf(modelDir, texts);
    expect(theirs).toEqual(ours);
    expect(await idsOf(back, texts)).toEqual(ours);
  });

  it('is written only with what goes with it', async () => {
    const modelDir = await tempDir('tokenizer-other');
    await writeModel(modelDir, kind);
    const path = join(modelDir, 'tokenizer.json');
    const json = JSON.parse(await readFile(path, 'utf8')) as { model: { ignore_merges: boolean }; normalizer: unknown };
    const refused = async (change: object): Promise<void> => {
      await writeFile(path, JSON.stringify({ ...json, ...change }));
      await expect(huggingFaceToGguf({ modelDir, ggufPath: join(modelDir, 'no.gguf') })).rejects.toMatchObject({
        code: 'format.unsupported',
      });
    };
    await refused({ model: { ...json.model, ignore_merges: !json.model.ignore_merges } });
    await refused({ normalizer: json.normalizer === null ? { type: 'NFC' } : null });
  });
});

const SPECIAL = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];
async function writeCharacterModel(
  dir: string,
  spaces: string,
  change: (json: Json) => object = () => ({}),
): Promise<void> {
  const { vocabSize, json } = characterTokenizer({ spaces, texts: TEXTS.slice(0, 3), special: SPECIAL });
  await writeTinyChatModel(dir, { layers: 1, vocabSize: vocabSize + 8 });
  await writeFile(join(dir, 'tokenizer.json'), JSON.stringify({ ...json, ...change(json as unknown as Json) }));
}
interface Json {
  readonly added_tokens: object[];
  readonly model: { readonly merges: string[]; readonly vocab: Record<string, number> };
}

describe.each(['Llama 2', 'Gemma'])('a tokenizer with byte fallback that writes spaces as %s does', (spaces) => {
  it('gives the same ids in llama.cpp, and after it came back from GGUF', async () => {
    const texts = [...TEXTS, OTHER_DIGITS, 'x', ' ', '  <|im_end|> a<|im_end|>', '▁a ▁', '<unk> and <0x41>'];
    const dir = await tempDir('tokenizer');
    const modelDir = join(dir, 'model');
    await writeCharacterModel(modelDir, spaces);
    const { theirs, back } = await thereAndBack(dir, texts);
    const ours = await idsOf(modelDir, texts);
    expect(theirs).toEqual(ours);
    expect(await idsOf(back, texts)).toEqual(ours);
    const [before, after] = [await loadTokenizer(modelDir), await loadTokenizer(back)];
    expect(ours.map((ids) => after.decode(ids))).toEqual(ours.map((ids) => before.decode(ids)));
    expect(after.decode(after.encodePlain(TEXTS.join('')).ids)).toBe(TEXTS.join(''));
  });
});

describe('a token that is put before a text', () => {
  it('comes back from GGUF with a tokenizer with byte fallback', async () => {
    const dir = await tempDir('tokenizer-begin');
    const [modelDir, ggufPath, back] = [join(dir, 'model'), join(dir, 'model.gguf'), join(dir, 'back')];
    const begin = '<|endoftext|>';
    const single = [{ SpecialToken: { id: begin, type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }];
    await writeCharacterModel(modelDir, 'Llama 2', () => ({
      post_processor: {
        type: 'TemplateProcessing',
        single,
        pair: single,
        special_tokens: { [begin]: { id: begin, ids: [1], tokens: [begin] } },
      },
    }));
    const path = join(modelDir, 'config.json');
    const config = JSON.parse(await readFile(path, 'utf8')) as object;
    await writeFile(path, JSON.stringify({ ...config, bos_token_id: 1 }));
    await huggingFaceToGguf({ modelDir, ggufPath });
    await ggufToHuggingFace({ ggufPath, outDir: back });
    expect((await loadTokenizer(back)).beginToken).toBe(1);
  });
});

describe('a tokenizer with byte fallback that llama.cpp would compute otherwise is refused by name', () => {
  const metaspace = SPACE_FIELDS['Metaspace, first'] ?? {};
  const swapped = (merges: readonly string[]): string[] => {
    // A merge of another token between two that make the same one.
    const made = merges.map((merge) => merge.replace(' ', ''));
    const at = made.findIndex((token, i) => token === made[i + 1]);
    return [...merges.slice(0, at + 1), ...merges.slice(at + 2), merges[at + 1] ?? ''];
  };
  it.each<[string, (json: Json) => object]>([
    ['normalizer', () => metaspace],
    ['pre_tokenizer', () => ({ pre_tokenizer: { type: 'Digits', individual_digits: true } })],
    ['model.ignore_merges', ({ model }) => ({ model: { ...model, ignore_merges: true } })],
    ['model.merges', ({ model }) => ({ model: { ...model, merges: model.merges.slice(1) } })],
    ['model.merges', ({ model }) => ({ model: { ...model, merges: swapped(model.merges) } })],
    [
      'model.vocab',
      ({ model }) => {
        const { '<0x00>': _, ...vocab } = model.vocab;
        return { model: { ...model, vocab } };
      },
    ],
    ['added_tokens.1', ({ added_tokens: [first, second] }) => ({ added_tokens: [first, { ...second, rstrip: true }] })],
    [
      'post_processor',
      () => ({ post_processor: { type: 'TemplateProcessing', single: [{ Sequence: {} }, { SpecialToken: {} }] } }),
    ],
  ])('%s', async (field, change) => {
    const modelDir = await tempDir('tokenizer-other');
    await writeCharacterModel(modelDir, 'Llama 2', change);
    await expect(huggingFaceToGguf({ modelDir, ggufPath: join(modelDir, 'no.gguf') })).rejects.toMatchObject({
      code: 'format.unsupported',
      details: { field },
    });
  });
});
