import type { TextTokenizer } from './tokenizer.js';

/**
 * Turns plain text into the rows it is learnt in: as few as `cutoffLength` tokens each allow, all of about the same length,
 * so that no end of a few tokens is left over. Special tokens written in the text are encoded as ordinary text. The
 * model's own mark of an end follows the text: it then also learns where texts end.
 */
export function encodeDocument(text: string, tokenizer: TextTokenizer, cutoffLength: number): Int32Array[] {
  const { beginToken, endToken } = tokenizer;
  const tokens = Int32Array.from([
    ...(beginToken === undefined ? [] : [beginToken]),
    ...tokenizer.encodePlain(text).ids,
    ...(endToken === undefined ? [] : [endToken]),
  ]);
  const count = Math.ceil(tokens.length / cutoffLength);
  const edge = (row: number): number => Math.round((row * tokens.length) / count);
  return Array.from({ length: count }, (_, row) => tokens.slice(edge(row), edge(row + 1)));
}
