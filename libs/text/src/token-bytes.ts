/** How the tokens of a kind of tokenizer lie in the text, counted in UTF-8 bytes. */
export interface TokenBytes {
  /** The text that the tokens spell: what the tokenizer's normalizer leaves of it, with spaces as spaces. */
  normalise(text: string): string;
  /** Bytes of the normalised text that each token stands for, in order. */
  sizes(tokens: readonly string[], normalised: string): Int32Array;
}

/** Byte-level BPE: each character of a token stands for one byte. */
export function byteLevelBytes(normalizer: 'NFC' | undefined): TokenBytes {
  return {
    normalise: (text) => (normalizer === undefined ? text : text.normalize(normalizer)),
    sizes: (tokens) => Int32Array.from(tokens, (token) => [...token].length),
  };
}

/** How SentencePiece writes a space (U+2581). */
export const SPACE_MARK = '▁';
const BYTE_TOKEN = /^<0x[0-9A-F]{2}>$/u;

/** Whether a token is one byte, for characters that the vocabulary lacks. */
export const isByteToken = (token: string): boolean => BYTE_TOKEN.test(token);

/** Whether a space is put before a text; the tokens of some tokenizers never get one beside the one that is there. */
export type SpacePrefix = 'always' | 'unless-there' | 'never';

/** BPE over characters, with tokens for single bytes. `unknown` stands for what the vocabulary lacks, so it counts nothing. */
export function characterBytes(prefix: SpacePrefix, unknown: string | undefined): TokenBytes {
  const size = (token: string): number => {
    if (token === unknown) return 0;
    return isByteToken(token) ? 1 : Buffer.byteLength(token.replaceAll(SPACE_MARK, ' '));
  };
  return {
    // The mark itself, written in a text, is read as a space.
    normalise: (text) => text.replaceAll(SPACE_MARK, ' '),
    sizes: (tokens, normalised) => {
      const sizes = Int32Array.from(tokens, size);
      const isPrefixed = prefix === 'always' || (prefix === 'unless-there' && !normalised.startsWith(' '));
      if (isPrefixed && sizes.length > 0) sizes[0] = (sizes[0] ?? 0) - 1;
      return sizes;
    },
  };
}

/** Adds a number of bytes to the last token; what is to be taken off goes on with the tokens before it, none below 0. */
export function addToEnd(sizes: Int32Array, bytes: number): void {
  let left = bytes;
  for (let i = sizes.length - 1; i >= 0 && left !== 0; i -= 1) {
    const size = Math.max(0, (sizes[i] ?? 0) + left);
    left -= size - (sizes[i] ?? 0);
    sizes[i] = size;
  }
}
