import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { FormatError } from '../format-error.js';
import { readJsonFile } from '../huggingface/model-config.js';
import type { ModelConfig } from '../huggingface/model-config.js';
import { characterTokenizerEntries } from './character-tokenizer.js';
import { ggufPreTokenizer } from './pre-tokenizers.js';
import type { PreTokenizer } from './pre-tokenizers.js';
import { TOKEN_TYPE } from './token-types.js';
import type { GgufEntry } from './write-gguf.js';

const TOKENIZER_BYTES_MAX = 64 * 1024 * 1024;
const TEMPLATE_BYTES_MAX = 1024 * 1024;

/** A map: zod's records leave out what is called `__proto__`, and plain objects have a `constructor` in any case. */
const vocabularySchema = z
  .custom<object>((value) => typeof value === 'object' && value !== null && !Array.isArray(value))
  .transform((value) => new Map<string, unknown>(Object.entries(value)))
  .pipe(z.map(z.string(), z.int().nonnegative()));

const tokenizerSchema = z.looseObject({
  added_tokens: z
    .array(
      z.looseObject({
        id: z.int().nonnegative(),
        content: z.string(),
        special: z.boolean().default(false),
        lstrip: z.unknown().optional(),
        rstrip: z.unknown().optional(),
        single_word: z.unknown().optional(),
      }),
    )
    .default([]),
  normalizer: z.looseObject({ type: z.string() }).nullish(),
  pre_tokenizer: z.unknown(),
  post_processor: z
    .looseObject({ type: z.string(), processors: z.array(z.looseObject({ type: z.string() })).optional() })
    .nullish(),
  model: z.looseObject({
    type: z.literal('BPE'),
    byte_fallback: z.boolean().nullish(),
    unk_token: z.string().nullish(),
    ignore_merges: z.boolean().nullish(),
    vocab: vocabularySchema,
    merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
  }),
});

function merge(item: string | [string, string]): string {
  if (typeof item === 'string') return item;
  if (item.some((part) => part.includes(' ')))
    throw new FormatError('format.unsupported', 'tokenizer.json: a merge holds a space, which GGUF cannot store.');
  return item.join(' ');
}

function vocabulary(parsed: z.output<typeof tokenizerSchema>, size: number): { tokens: string[]; types: number[] } {
  const tokens = new Array<string>(size);
  const types = new Array<number>(size).fill(TOKEN_TYPE.unused);
  const idOf = new Map<string, number>();
  const put = (id: number, token: string, type: number): void => {
    if (id >= size)
      throw new FormatError(
        'format.out-of-bounds',
        `tokenizer.json: token ${id} lies beyond the model's vocabulary of ${size}.`,
      );
    // llama.cpp ends its process where a text has two ids.
    if ((tokens[id] ?? token) !== token || (idOf.get(token) ?? id) !== id)
      throw new FormatError(
        'format.duplicate',
        `tokenizer.json: ${JSON.stringify(token.slice(0, 100))} has another id in added_tokens, or its id ${id} another token.`,
        { token: token.slice(0, 100), id },
      );
    tokens[id] = token;
    types[id] = type;
    idOf.set(token, id);
  };
  for (const [token, id] of parsed.model.vocab) put(id, token, TOKEN_TYPE.normal);
  for (const { id, content, special } of parsed.added_tokens)
    put(id, content, special ? TOKEN_TYPE.control : TOKEN_TYPE.userDefined);
  for (let id = 0; id < size; id += 1) if (tokens[id] === undefined) put(id, `[PAD${id}]`, TOKEN_TYPE.unused);
  return { tokens, types };
}

type Tokenizer = z.output<typeof tokenizerSchema>;
interface Vocabulary {
  readonly tokens: string[];
  readonly types: number[];
  readonly merges: string[];
}

/** llama.cpp takes more for granted with each way to split: all of it must be so here. */
function splittingOf({ pre_tokenizer: json, normalizer, model, added_tokens: added }: Tokenizer): PreTokenizer {
  const splitting = ggufPreTokenizer(json);
  const refuse = (field: string): never => {
    const message = `tokenizer.json: ${field} is not what llama.cpp computes where text is split as "${splitting.pre}".`;
    throw new FormatError('format.unsupported', message, { field });
  };
  if (normalizer?.type !== splitting.normalizer) refuse('normalizer');
  if ((model.ignore_merges ?? false) !== (splitting.ignoreMerges ?? false)) refuse('model.ignore_merges');
  const taking = added.findIndex((token) => token.lstrip === true || token.rstrip === true);
  if (taking >= 0) refuse(`added_tokens.${taking}`);
  return splitting;
}

/** What no tokenizer of llama.cpp does, however it splits. */
function refuseUnknown({ added_tokens: added, model }: Tokenizer): void {
  const single = added.findIndex((token) => token.single_word === true);
  const fields = ['dropout', 'continuing_subword_prefix', 'end_of_word_suffix'];
  const set = fields.find((field) => model[field]);
  const field = single >= 0 ? `added_tokens.${single}` : set && `model.${set}`;
  if (field === undefined) return;
  throw new FormatError('format.unsupported', `tokenizer.json: ${field} is nothing that llama.cpp computes.`, {
    field,
  });
}

const templatePart = z.union([
  z.object({ SpecialToken: z.object({ id: z.string() }) }),
  z.object({ Sequence: z.unknown() }).required(),
]);
const templateParts = z.array(templatePart);

/** Id of the one token that is put before a text: by a template, alone or after what changes offsets only. */
function beginTokenOf(processor: Tokenizer['post_processor'], tokens: readonly string[]): number | undefined {
  const refuse = (what: string): never => {
    const message = `tokenizer.json: post_processor ${what} is not supported.`;
    throw new FormatError('format.unsupported', message, { field: 'post_processor' });
  };
  const all = processor?.type === 'Sequence' ? (processor.processors ?? []) : processor ? [processor] : [];
  const other = all.find(({ type }) => type !== 'ByteLevel' && type !== 'TemplateProcessing');
  if (other) refuse(`"${other.type}"`);
  const [template, second] = all.filter(({ type }) => type === 'TemplateProcessing');
  if (!template) return undefined;
  const parts = templateParts.safeParse(template['single']).data ?? refuse('with such a template');
  const [first, last] = [parts[0], parts.at(-1)];
  if (last && 'SpecialToken' in last) refuse('that puts a token after a text');
  const isOne = parts.length === 1 || (parts.length === 2 && first !== undefined && 'SpecialToken' in first);
  if (second || !isOne) refuse('that puts more than one token before a text');
  if (!first || !('SpecialToken' in first)) return undefined;
  const id = tokens.indexOf(first.SpecialToken.id);
  return id >= 0 ? id : refuse('that puts what is no token before a text');
}

/** The chat template of a model folder: `chat_template.jinja`, else the one in tokenizer_config.json; undefined when there is none. */
export async function readChatTemplate(dir: string): Promise<string | undefined> {
  const path = join(dir, 'chat_template.jinja');
  const size = await stat(path).then(
    (found) => found.size,
    () => undefined,
  );
  if (size !== undefined) {
    if (size > TEMPLATE_BYTES_MAX)
      throw new FormatError('format.too-large', `The chat template has ${size} bytes.`, { path });
    return readFile(path, 'utf8');
  }
  const config = await readJsonFile(join(dir, 'tokenizer_config.json'), TOKENIZER_BYTES_MAX);
  const named = z.array(z.object({ name: z.string(), template: z.string() }));
  const parsed = z.looseObject({ chat_template: z.union([z.string(), named]).nullish() }).safeParse(config);
  if (!parsed.success)
    throw new FormatError('format.malformed', 'tokenizer_config.json: chat_template is not usable.', {
      field: 'chat_template',
    });
  const template = parsed.data.chat_template;
  if (template === null || template === undefined || typeof template === 'string') return template ?? undefined;
  return template.find(({ name }) => name === 'default')?.template;
}

function byteLevelEntries(json: Tokenizer, { tokens, types, merges }: Vocabulary): [string, GgufEntry][] {
  return [
    ['tokenizer.ggml.model', { type: 'string', value: 'gpt2' }],
    ['tokenizer.ggml.pre', { type: 'string', value: splittingOf(json).pre }],
    ['tokenizer.ggml.tokens', { type: 'string[]', value: tokens }],
    ['tokenizer.ggml.token_type', { type: 'int32[]', value: types }],
    ['tokenizer.ggml.merges', { type: 'string[]', value: merges }],
    ['tokenizer.ggml.add_space_prefix', { type: 'bool', value: false }],
  ];
}

/** GGUF metadata of a BPE tokenizer, byte-level or with byte fallback. Refuses what llama.cpp would split differently. */
export async function huggingFaceTokenizerEntries(dir: string, config: ModelConfig): Promise<[string, GgufEntry][]> {
  const parsed = tokenizerSchema.safeParse(await readJsonFile(join(dir, 'tokenizer.json'), TOKENIZER_BYTES_MAX));
  if (!parsed.success) {
    const field = parsed.error.issues[0]?.path.join('.') ?? '';
    throw new FormatError(
      'format.unsupported',
      `tokenizer.json: ${field} is not supported; supported: BPE, byte-level or with byte fallback.`,
      { field },
    );
  }
  const { data } = parsed;
  refuseUnknown(data);
  const words = { ...vocabulary(data, config.vocabSize), merges: data.model.merges.map(merge) };
  const begin = beginTokenOf(data.post_processor, words.tokens);
  const template = await readChatTemplate(dir);
  const entries: [string, GgufEntry][] = [
    ...(data.model.byte_fallback ? characterTokenizerEntries(data, words) : byteLevelEntries(data, words)),
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: begin !== undefined }],
    ['tokenizer.ggml.add_eos_token', { type: 'bool', value: false }],
  ];
  const [eos] = config.eosTokenIds;
  const ids: [string, number | undefined][] = [
    ['bos', begin ?? config.bosTokenId],
    ['eos', eos],
    ['padding', config.padTokenId],
  ];
  for (const [name, value] of ids)
    if (value !== undefined) entries.push([`tokenizer.ggml.${name}_token_id`, { type: 'uint32', value }]);
  if (template !== undefined) entries.push(['tokenizer.chat_template', { type: 'string', value: template }]);
  return entries;
}
