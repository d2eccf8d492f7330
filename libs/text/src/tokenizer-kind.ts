import { z } from 'zod';
import { TextError } from './text-error.js';
import { SPACE_MARK, byteLevelBytes, characterBytes, isByteToken } from './token-bytes.js';
import type { TokenBytes } from './token-bytes.js';

const addedTokenSchema = z.looseObject({
  id: z.int().nonnegative(),
  content: z.string().min(1),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  single_word: z.literal(false).default(false),
  normalized: z.boolean().default(false),
  special: z.boolean().default(false),
});
const modelSchema = z.looseObject({
  type: z.literal('BPE'),
  vocab: z.record(z.string(), z.int().nonnegative()),
  merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])).default([]),
  unk_token: z.string().nullish(),
  byte_fallback: z.boolean().nullish(),
});
const tokenizerSchema = z.looseObject({
  added_tokens: z.array(addedTokenSchema).default([]),
  normalizer: z.unknown(),
  pre_tokenizer: z.unknown(),
  model: modelSchema,
});
export type TokenizerJson = z.output<typeof tokenizerSchema>;

const composing = z.object({ type: z.literal('NFC') });
const replacing = z.object({
  type: z.literal('Replace'),
  pattern: z.object({ String: z.literal(' ') }),
  content: z.literal(SPACE_MARK),
});
const prepending = z.object({
  type: z.literal('Sequence'),
  normalizers: z.tuple([z.object({ type: z.literal('Prepend'), prepend: z.literal(SPACE_MARK) }), replacing]),
});
const metaspace = z.looseObject({
  type: z.literal('Metaspace'),
  replacement: z.literal(SPACE_MARK),
  prepend_scheme: z.enum(['first', 'always', 'never']),
  // The library never splits here.
  split: z.literal(false),
});
/** No space is left when it comes to splitting at spaces, so that it splits nothing (Gemma). */
const splittingAtSpaces = z.looseObject({
  type: z.literal('Split'),
  pattern: z.object({ String: z.literal(' ') }),
});

/** What sets a tokenizer apart from others: how its tokens lie in the text, at its start and further on. */
export interface TokenizerKind {
  readonly start: TokenBytes;
  readonly further: TokenBytes;
  /** Where text further on is encoded otherwise than at the start: the fields of tokenizer.json that say how. */
  readonly furtherFields: object | undefined;
}

function refuse(field: string): never {
  throw new TextError(
    'text.tokenizer-unsupported',
    `tokenizer.json: ${field} is not supported; supported: byte-level BPE, with no normalizer or NFC, and BPE with byte_fallback that writes spaces as "${SPACE_MARK}".`,
    { field },
  );
}

const same = (bytes: TokenBytes): TokenizerKind => ({ start: bytes, further: bytes, furtherFields: undefined });

function characterKind({ normalizer, pre_tokenizer: splitting, model }: TokenizerJson): TokenizerKind {
  const unknown = model.unk_token ?? undefined;
  if (normalizer === null || normalizer === undefined) {
    const parsed = metaspace.safeParse(splitting);
    if (!parsed.success) return refuse(['pre_tokenizer', ...(parsed.error.issues[0]?.path ?? [])].join('.'));
    const { prepend_scheme: scheme } = parsed.data;
    if (scheme !== 'first') return same(characterBytes(scheme === 'always' ? 'unless-there' : 'never', unknown));
    return {
      start: characterBytes('unless-there', unknown),
      further: characterBytes('never', unknown),
      furtherFields: { pre_tokenizer: { ...parsed.data, prepend_scheme: 'never' } },
    };
  }
  const isPrepending = prepending.safeParse(normalizer).success;
  if (!isPrepending && !replacing.safeParse(normalizer).success) return refuse('normalizer');
  if (splitting !== null && splitting !== undefined && !splittingAtSpaces.safeParse(splitting).success)
    return refuse('pre_tokenizer');
  return same(characterBytes(isPrepending ? 'always' : 'never', unknown));
}

function byteLevelKind({ normalizer }: TokenizerJson): TokenizerKind {
  if (normalizer === null || normalizer === undefined) return same(byteLevelBytes(undefined));
  return composing.safeParse(normalizer).success ? same(byteLevelBytes('NFC')) : refuse('normalizer');
}

/** An added token that is looked for in normalised text would have to be normalised itself. */
function refuseNormalizedTokens({ added_tokens: added, normalizer }: TokenizerJson): void {
  const changes = (content: string): boolean => {
    if (normalizer === null || normalizer === undefined) return false;
    if (composing.safeParse(normalizer).success) return content.normalize('NFC') !== content;
    return prepending.safeParse(normalizer).success || content.includes(' ');
  };
  const index = added.findIndex(({ content, normalized }) => normalized && changes(content));
  if (index >= 0) refuse(`added_tokens.${index}.normalized`);
}

/**
 * The parts of a tokenizer.json that matter here, and the kind of tokenizer it is.
 * @throws TextError `text.tokenizer-unsupported` with the field.
 */
export function readTokenizerJson(tokenizerJson: unknown): { json: TokenizerJson; kind: TokenizerKind } {
  const parsed = tokenizerSchema.safeParse(tokenizerJson);
  if (!parsed.success) return refuse(parsed.error.issues[0]?.path.join('.') ?? 'its content');
  const json = parsed.data;
  const kind = json.model.byte_fallback === true ? characterKind(json) : byteLevelKind(json);
  refuseNormalizedTokens(json);
  return { json, kind };
}

/** tokenizer.json for text that is nothing but text: no merge leads to a special token or to one that stands for a byte. */
export function plainTokenizerJson(json: TokenizerJson): object {
  const special = new Set(json.added_tokens.filter((token) => token.special).map(({ content }) => content));
  const merges = json.model.merges.filter((merge) => {
    const made = typeof merge === 'string' ? merge.replace(' ', '') : merge.join('');
    return !special.has(made) && !isByteToken(made);
  });
  return { ...json, added_tokens: [], post_processor: null, model: { ...json.model, merges } };
}
