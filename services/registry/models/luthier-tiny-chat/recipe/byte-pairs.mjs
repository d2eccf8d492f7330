/** A small trainer of byte-level BPE vocabularies: splits text like SmolLM's pre-tokenizer, then joins frequent pairs. */

/** GPT-2's splitting rule, as `ByteLevel` with `use_regex` applies it. */
const WORDS = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** The printable character that stands for each byte in byte-level vocabularies. */
function byteCharacters() {
  const printable = (byte) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
}

/** Words of a text as byte characters. Every digit stands alone, then words and their leading space stay together. */
function wordsOf(text, characters) {
  return text
    .split(/(\p{Nd})/u)
    .flatMap((part) => part.match(WORDS) ?? [])
    .map((word) => Array.from(Buffer.from(word), (byte) => characters[byte]));
}

function countWords(texts, characters) {
  const counts = new Map();
  for (const word of texts.flatMap((text) => wordsOf(text, characters))) {
    const key = word.join('');
    const known = counts.get(key);
    if (known) known.count += 1;
    else counts.set(key, { parts: word, count: 1 });
  }
  return [...counts.values()];
}

/** The most frequent pair; among equals the first in code point order, so that the result never varies. */
function mostFrequentPair(words) {
  const counts = new Map();
  for (const { parts, count } of words) {
    for (let i = 1; i < parts.length; i += 1) {
      const pair = `${parts[i - 1]} ${parts[i]}`;
      counts.set(pair, (counts.get(pair) ?? 0) + count);
    }
  }
  let best;
  let most = 1;
  for (const [pair, count] of counts) {
    if (count > most || (count === most && best !== undefined && pair < best)) [best, most] = [pair, count];
  }
  return best;
}

function join(words, left, right) {
  for (const word of words) {
    for (let i = 0; i + 1 < word.parts.length; i += 1) {
      if (word.parts[i] === left && word.parts[i + 1] === right) word.parts.splice(i, 2, left + right);
    }
  }
}

/** `{vocab, merges}` of tokenizer.json with `size` tokens: the special ones first, then 256 bytes, then merged pairs. */
export function learnBytePairs(texts, specialTokens, size) {
  const characters = byteCharacters();
  const words = countWords(texts, characters);
  const tokens = [...specialTokens, ...characters];
  const known = new Set(tokens);
  const merges = [];
  while (tokens.length < size) {
    const pair = mostFrequentPair(words);
    if (pair === undefined) throw new Error(`The texts give only ${tokens.length} tokens, not ${size}.`);
    const [left, right] = pair.split(' ');
    merges.push([left, right]);
    join(words, left, right);
    if (known.has(left + right)) continue;
    known.add(left + right);
    tokens.push(left + right);
  }
  return { vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges };
}
