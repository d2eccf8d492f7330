import { isDeepStrictEqual } from 'node:util';
import { FormatError } from '../format-error.js';

const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
const digits = { type: 'Digits', individual_digits: true };

/** Splits text by a pattern, then writes bytes: Llama 3, with digits in threes, and Qwen 2 and 3, one by one. */
const splitBy = (digitGroup: string): unknown => ({
  type: 'Sequence',
  pretokenizers: [
    {
      type: 'Split',
      pattern: {
        Regex: String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|${digitGroup}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
      },
      behavior: 'Isolated',
      invert: false,
    },
    { ...byteLevel, use_regex: false },
  ],
});

/**
 * `tokenizer.ggml.pre` chooses a splitting rule built into llama.cpp; it must split as tokenizer.json does.
 * Only pairs that were compared on real text are listed: a wrong guess would change token ids silently.
 */
const PRE_TOKENIZERS: readonly PreTokenizer[] = [
  { pre: 'smollm', json: { type: 'Sequence', pretokenizers: [digits, byteLevel] } },
  { pre: 'gpt-2', json: byteLevel },
  { pre: 'llama-bpe', json: splitBy(String.raw`\p{N}{1,3}`), ignoreMerges: true },
  { pre: 'qwen2', json: splitBy(String.raw`\p{N}`), normalizer: 'NFC' },
];

export interface PreTokenizer {
  readonly pre: string;
  /** The `pre_tokenizer` of tokenizer.json. */
  readonly json: unknown;
  /** What is a token as a whole is taken as it is, whether merges lead to it or not. */
  readonly ignoreMerges?: boolean;
  /**
   * llama.cpp has no normalizer: text that is not in this form yet (letters and accents apart) it splits otherwise. What
   * keyboards and editors write is.
   */
  readonly normalizer?: 'NFC';
}

/**
 * How tokenizer.json splits what a `tokenizer.ggml.pre` splits; refuses unknown ones. Where a byte-level file names none,
 * or "default", llama.cpp splits by a pattern that no model was trained with.
 */
export function preTokenizerNamed(pre: string | undefined): PreTokenizer {
  const known = PRE_TOKENIZERS.find((entry) => entry.pre === pre);
  if (known) return known;
  const message =
    pre === undefined || pre === 'default'
      ? 'The GGUF file does not say how its tokenizer splits text: take a newer file of the same model, or its safetensors.'
      : `The GGUF tokenizer splits text by "${pre.slice(0, 100)}", which is not supported.`;
  throw new FormatError('format.unsupported', message, { pre });
}

function normalise(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const { type } = value as { type?: unknown };
  if (type === 'ByteLevel') {
    const { add_prefix_space: prefix, use_regex: regex } = value as { add_prefix_space?: unknown; use_regex?: unknown };
    // trim_offsets changes offsets only, never ids.
    return { ...byteLevel, add_prefix_space: prefix ?? true, use_regex: regex ?? true };
  }
  if (type === 'Sequence') {
    const { pretokenizers } = value as { pretokenizers?: unknown };
    return { type, pretokenizers: Array.isArray(pretokenizers) ? pretokenizers.map(normalise) : pretokenizers };
  }
  return value;
}

/** The `tokenizer.ggml.pre` that splits like this `pre_tokenizer`, and what goes with it; refuses unknown ones. */
export function ggufPreTokenizer(json: unknown): PreTokenizer {
  const normalised = normalise(json);
  const known = PRE_TOKENIZERS.find((entry) => isDeepStrictEqual(entry.json, normalised));
  if (!known) {
    throw new FormatError(
      'format.unsupported',
      'The pre_tokenizer of tokenizer.json has no known counterpart in GGUF.',
      { preTokenizer: JSON.stringify(json)?.slice(0, 500) },
    );
  }
  return known;
}
