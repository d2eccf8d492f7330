import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { TextError } from './text-error.js';
import { addToEnd } from './token-bytes.js';
import type { TokenBytes } from './token-bytes.js';

/** The part of the library that is used; its own declarations do not resolve under nodenext (imports without suffix). */
export interface Encoder {
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
export const LibraryTokenizer = HuggingFaceTokenizer as unknown as new (json: object, config: object) => Encoder;

export interface PlainTokens {
  readonly ids: Int32Array;
  /** UTF-8 bytes of each token; they add up to the text's. */
  readonly sizesBytes: Int32Array;
}

/** Short pieces (the system prompt, role names) come again and again: their tokens are kept. */
const CACHED_CHARACTERS_MAX = 512;
const CACHE_ENTRIES_MAX = 4096;

/** Encodes text as text, and says where each token lies in it. */
export class PlainEncoder {
  private readonly cache = new Map<string, PlainTokens>();

  /** `encoder` must know no added tokens. */
  constructor(
    private readonly encoder: Encoder,
    private readonly bytes: TokenBytes,
  ) {}

  /**
   * Bytes that normalising takes away or adds are counted to the last token.
   * @throws TextError `text.tokenizer-unsupported` where a part of the text has no token.
   */
  encode(text: string): PlainTokens {
    const cached = this.cache.get(text);
    if (cached) return cached;
    const { ids, tokens } = this.encoder.encode(text, { add_special_tokens: false });
    const normalised = this.bytes.normalise(text);
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
}
