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

/** Adds a number of bytes to the last token; what is to be taken off goes on with the tokens before it, none below 0. */
export function addToEnd(sizes: Int32Array, bytes: number): void {
  let left = bytes;
  for (let i = sizes.length - 1; i >= 0 && left !== 0; i -= 1) {
    const size = Math.max(0, (sizes[i] ?? 0) + left);
    left -= size - (sizes[i] ?? 0);
    sizes[i] = size;
  }
}
