import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { LibraryTokenizer, PlainEncoder } from './plain-encoder.js';
import type { Encoder, PlainTokens } from './plain-encoder.js';
import { readJson } from './read-json.js';
import { TextError } from './text-error.js';
import { plainTokenizerJson, readTokenizerJson } from './tokenizer-kind.js';
import type { TokenizerKind } from './tokenizer-kind.js';

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

/** sha256 of a JSON value, the same for the same content whatever the white space of its file. */
function contentSha256(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}

const escapeRegExp = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');

/** A BPE tokenizer that keeps apart what is text and what is a special token. */
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
  private readonly kind: TokenizerKind;
  /** These know no added tokens, so they encode `<|im_end|>` as the characters that it is. */
  private readonly atStart: PlainEncoder;
  private readonly furtherOn: PlainEncoder;

  constructor(tokenizerJson: unknown, tokenizerConfig: unknown) {
    const { json, kind } = readTokenizerJson(tokenizerJson);
    if (typeof tokenizerConfig !== 'object' || tokenizerConfig === null)
      throw new TextError('text.tokenizer-invalid', 'tokenizer_config.json must hold an object.');
    const { added_tokens: added, model } = json;
    this.kind = kind;
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
    this.full = new LibraryTokenizer(tokenizerJson as object, tokenizerConfig);
    const plainJson = plainTokenizerJson(json);
    this.atStart = new PlainEncoder(new LibraryTokenizer(plainJson, tokenizerConfig), kind.start);
    this.furtherOn = kind.furtherFields
      ? new PlainEncoder(new LibraryTokenizer({ ...plainJson, ...kind.furtherFields }, tokenizerConfig), kind.further)
      : this.atStart;
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
    return this.kind.start.normalise(text);
  }

  /**
   * Encodes text as text: nothing in it becomes a special token. Some tokenizers put a space before a text, but not before
   * parts of it: `isStart` says whether this is where it begins.
   * @throws TextError `text.tokenizer-unsupported` where a part of the text has no token.
   */
  encodePlain(text: string, isStart = true): PlainTokens {
    return (isStart ? this.atStart : this.furtherOn).encode(text);
  }

  /** Encodes text in which added tokens are meant as such (a rendered template). Adds nothing. */
  encode(text: string): Int32Array {
    const parts = this.split(text).map(({ start, end, addedToken }) =>
      addedToken === undefined ? this.encodePlain(text.slice(start, end), start === 0).ids : Int32Array.of(addedToken),
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
