import { isDeepStrictEqual } from 'node:util';
import { FormatError } from '../format-error.js';

const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
const digits = { type: 'Digits', individual_digits: true };

/**
 * `tokenizer.ggml.pre` chooses a splitting rule built into llama.cpp; it must split as tokenizer.json does.
 * Only pairs that were compared on real text are listed: a wrong guess would change token ids silently.
 */
const PRE_TOKENIZERS: readonly { readonly pre: string; readonly json: unknown }[] = [
  { pre: 'smollm', json: { type: 'Sequence', pretokenizers: [digits, byteLevel] } },
  { pre: 'gpt-2', json: byteLevel },
];

/** The `pre_tokenizer` of tokenizer.json for a `tokenizer.ggml.pre`. */
export function preTokenizerJson(pre: string): unknown {
  const known = PRE_TOKENIZERS.find((entry) => entry.pre === pre || (pre === 'default' && entry.pre === 'gpt-2'));
  if (!known)
    throw new FormatError('format.unsupported', `The GGUF tokenizer splits text by "${pre}", which is not supported.`, {
      pre,
    });
  return known.json;
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

/** The `tokenizer.ggml.pre` that splits like this `pre_tokenizer`; refuses unknown ones. */
export function ggufPreTokenizer(json: unknown): string {
  const normalised = normalise(json);
  const known = PRE_TOKENIZERS.find((entry) => isDeepStrictEqual(entry.json, normalised));
  if (!known) {
    throw new FormatError(
      'format.unsupported',
      'The pre_tokenizer of tokenizer.json has no known counterpart in GGUF.',
      { preTokenizer: JSON.stringify(json)?.slice(0, 500) },
    );
  }
  return known.pre;
}
