import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { z } from 'zod';
import { readJson } from './read-json.js';
import { TextError } from './text-error.js';
import { addToEnd, byteLevelBytes } from './token-bytes.js';
import type { TokenBytes } from './token-bytes.js';

/** The part of the library that is used; its own declarations do not resolve under nodenext (imports without suffix). */
interface Encoder {
  encode(
    text: string,
    options: { readonly add_special_tokens: boolean },
  ): {
    readonly ids: readonly number[];
    readonly tokens: readonly string[];
  };
  decode(
    ids: readonly number[],
    options: { readonly skip_special_tokens: boolean; readonly clean_up_tokenization_spaces: boolean },
  ): string;
  token_to_id(token: string): number | undefined;
}
const Tokenizer = HuggingFaceTokenizer as unknown as new (json: object, config: object) => Encoder;

/** Short pieces (the system prompt, role names) come again and again: their tokens are kept. */
const CACHED_CHARACTERS_MAX = 512;
const CACHE_ENTRIES_MAX = 4096;

const addedTokenSchema = z.looseObject({
  id: z.int().nonnegative(),
  content: z.string().min(1),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  single_word: z.literal(false).default(false),
  special: z.boolean().default(false),
});
const tokenizerSchema = z.looseObject({
  added_tokens: z.array(addedTokenSchema).default([]),
  normalizer: z.object({ type: z.literal('NFC') }).nullish(),
  model: z.looseObject({ type: z.literal('BPE'), vocab: z.record(z.string(), z.int().nonnegative()) }),
});

/** A token's text as tokenizer_config.json names it. */
export const tokenText = z
  .union([z.string(), z.looseObject({ content: z.string() }).transform(({ content }) => content)])
  .nullish();
const configSchema = z.looseObject({ bos_token: tokenText, eos_token: tokenText });

export interface Piece {
  /** Position in the text, UTF-16 units. */
  readonly start: number;
  readonly end: number;
  /** Set for an added token (all special tokens are); undefined for ordinary text. */
  readonly addedToken?: number;
}

export interface PlainTokens {
  readonly ids: Int32Array;
  /** UTF-8 bytes of each token; they add up to the text's. */
  readonly sizesBytes: Int32Array;
}

/** sha256 of a JSON value, the same for the same content whatever the white space of its file. */
function contentSha256(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}

const escapeRegExp = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');

/** A byte-level BPE tokenizer that keeps apart what is text and what is a special token. */
export class TextTokenizer {
  /** sha256 of tokenizer.json's content. */
  readonly sha256: string;
  readonly vocabSize: number;
  /** Texts of all added tokens, longest first. */
  readonly addedTokens: readonly string[];
  /** Put before a text; undefined where the tokenizer puts none there. */
  readonly beginToken: number | undefined;
  /** Ends a text; undefined where the model has no such token. */
  readonly endToken: number | undefined;
  private readonly idByAddedToken: ReadonlyMap<string, number>;
  private readonly addedPattern: RegExp | undefined;
  private readonly full: Encoder;
  /** Knows no added tokens, so it encodes `<|im_end|>` as the characters that it is. */
  private readonly plain: Encoder;
  private readonly bytes: TokenBytes;
  private readonly cache = new Map<string, PlainTokens>();

  constructor(tokenizerJson: unknown, tokenizerConfig: unknown) {
    const parsed = tokenizerSchema.safeParse(tokenizerJson);
    if (!parsed.success || typeof tokenizerConfig !== 'object' || tokenizerConfig === null) {
      const field = parsed.error?.issues[0]?.path.join('.') ?? 'tokenizer_config.json';
      throw new TextError(
        'text.tokenizer-unsupported',
        `tokenizer.json: ${field} is not supported; supported: byte-level BPE, with no normalizer or NFC.`,
        { field },
      );
    }
    const { added_tokens: added, model, normalizer } = parsed.data;
    this.bytes = byteLevelBytes(normalizer?.type);
    const sorted = [...added].sort((a, b) => b.content.length - a.content.length);
    this.sha256 = contentSha256(tokenizerJson);
    this.addedTokens = sorted.map(({ content }) => content);
    this.idByAddedToken = new Map(added.map(({ content, id }) => [content, id]));
    let vocabSize = 0;
    for (const id of [...Object.values(model.vocab), ...this.idByAddedToken.values()])
      vocabSize = Math.max(vocabSize, id + 1);
    this.vocabSize = vocabSize;
    const patterns = sorted.map(
      ({ content, lstrip, rstrip }) => `${lstrip ? '\\s*' : ''}${escapeRegExp(content)}${rstrip ? '\\s*' : ''}`,
    );
    this.addedPattern = patterns.length > 0 ? new RegExp(patterns.join('|'), 'gu') : undefined;
    this.full = new Tokenizer(tokenizerJson as object, tokenizerConfig);
    this.plain = new Tokenizer(
      { ...(tokenizerJson as object), added_tokens: [], post_processor: null },
      tokenizerConfig,
    );
    const { bos_token: begin, eos_token: end } = configSchema.safeParse(tokenizerConfig).data ?? {};
    const [first] = this.full.encode('', { add_special_tokens: true }).ids;
    this.beginToken = typeof begin === 'string' && this.tokenId(begin) === first ? first : undefined;
    this.endToken = typeof end === 'string' ? this.tokenId(end) : undefined;
  }

  /** Id of a token by its text, or undefined. */
  tokenId(token: string): number | undefined {
    return this.idByAddedToken.get(token) ?? this.full.token_to_id(token);
  }

  /** Splits text at added tokens, in order and without gaps. */
  split(text: string): Piece[] {
    const pieces: Piece[] = [];
    let from = 0;
    for (const match of this.addedPattern ? text.matchAll(this.addedPattern) : []) {
      const [found] = match;
      const addedToken = this.idByAddedToken.get(found) ?? this.idByAddedToken.get(found.trim());
      if (addedToken === undefined) continue;
      if (match.index > from) pieces.push({ start: from, end: match.index });
      from = match.index + found.length;
      pieces.push({ start: match.index, end: from, addedToken });
    }
    if (from < text.length) pieces.push({ start: from, end: text.length });
    return pieces;
  }

  /** The text that the tokens of a text spell: composed where the tokenizer composes it, otherwise as it is. */
  normalise(text: string): string {
    return this.bytes.normalise(text);
  }

  /**
   * Encodes text as text: nothing in it becomes a special token. Bytes that normalising takes away or adds are counted to
   * the last token.
   */
  encodePlain(text: string): PlainTokens {
    const cached = this.cache.get(text);
    if (cached) return cached;
    const { ids, tokens } = this.plain.encode(text, { add_special_tokens: false });
    const normalised = this.normalise(text);
    const sizesBytes = this.bytes.sizes(tokens, normalised);
    const total = sizesBytes.reduce((sum, size) => sum + size, 0);
    // Otherwise spans could not be told from tokens.
    if (total !== Buffer.byteLength(normalised))
      throw new TextError(
        'text.tokenizer-unsupported',
        'tokenizer.json: the tokens of a text do not add up to it, so model.vocab lacks some bytes.',
        { field: 'model.vocab' },
      );
    addToEnd(sizesBytes, Buffer.byteLength(text) - total);
    const result = { ids: Int32Array.from(ids), sizesBytes };
    if (text.length <= CACHED_CHARACTERS_MAX) {
      if (this.cache.size >= CACHE_ENTRIES_MAX) this.cache.clear();
      this.cache.set(text, result);
    }
    return result;
  }

  /** Encodes text in which added tokens are meant as such (a rendered template). Adds nothing. */
  encode(text: string): Int32Array {
    const parts = this.split(text).map(({ start, end, addedToken }) =>
      addedToken === undefined ? this.encodePlain(text.slice(start, end)).ids : Int32Array.of(addedToken),
    );
    const ids = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      ids.set(part, at);
      at += part.length;
    }
    return ids;
  }

  decode(ids: ArrayLike<number>, options: { readonly skipSpecialTokens?: boolean } = {}): string {
    if (ids.length === 0) return '';
    return this.full.decode(Array.from(ids), {
      skip_special_tokens: options.skipSpecialTokens ?? false,
      clean_up_tokenization_spaces: false,
    });
  }
}

/** Loads tokenizer.json and tokenizer_config.json of a model folder. */
export async function loadTokenizer(modelDir: string): Promise<TextTokenizer> {
  const [json, config] = await Promise.all([
    readJson(join(modelDir, 'tokenizer.json')),
    readJson(join(modelDir, 'tokenizer_config.json')),
  ]);
  return new TextTokenizer(json, config);
}
