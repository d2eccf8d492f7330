import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { FormatError } from '../format-error.js';
import { TOKEN_TYPE } from './token-types.js';
import type { GgufEntry } from './write-gguf.js';

const replacing = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
const prefixing = { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, replacing] };
/** No space is left when it comes to splitting at spaces, so that it splits nothing (Gemma). */
const splittingAtSpaces = z.looseObject({ type: z.literal('Split'), pattern: z.object({ String: z.literal(' ') }) });
const BYTE_TOKENS = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);

/** The parts of a tokenizer.json that say how a BPE with byte fallback splits text. */
export interface CharacterTokenizer {
  readonly normalizer?: unknown;
  readonly pre_tokenizer?: unknown;
  readonly added_tokens: readonly {
    readonly content: string;
    readonly lstrip?: unknown;
    readonly rstrip?: unknown;
    readonly normalized?: unknown;
  }[];
  readonly model: {
    readonly ignore_merges?: boolean | null | undefined;
    readonly unk_token?: string | null | undefined;
    readonly vocab: ReadonlyMap<string, number>;
  };
}

function refuse(field: string): never {
  const message = `tokenizer.json: ${field} is not what llama.cpp computes for a tokenizer with byte fallback.`;
  throw new FormatError('format.unsupported', message, { field });
}

/** llama.cpp puts a space before each piece of text or before none; "before the first" and "unless there is one" it lacks. */
function prefixesSpace({
  normalizer,
  pre_tokenizer: splitting,
  added_tokens: added,
  model,
}: CharacterTokenizer): boolean {
  const prefixes = isDeepStrictEqual(normalizer, prefixing);
  if (!prefixes && !isDeepStrictEqual(normalizer, replacing)) refuse('normalizer');
  if (splitting !== null && splitting !== undefined && !splittingAtSpaces.safeParse(splitting).success)
    refuse('pre_tokenizer');
  if (model.ignore_merges) refuse('model.ignore_merges');
  if (BYTE_TOKENS.some((token) => !model.vocab.has(token))) refuse('model.vocab');
  const other = added.findIndex(
    ({ content, lstrip, rstrip, normalized }) =>
      lstrip === true || rstrip === true || (normalized === true && (prefixes || content.includes(' '))),
  );
  if (other >= 0) refuse(`added_tokens.${other}`);
  return prefixes;
}

/** Looking for the splits of a token takes the square of its length. No published vocabulary has tokens as long as this. */
const TOKEN_LENGTH_MAX = 1_024;

/** Every two tokens that make `token`; `isPart` says what may be one of the two. */
function* splitsOf(token: string, isPart: (part: string) => boolean): Generator<[string, string]> {
  if (token.length > TOKEN_LENGTH_MAX)
    throw new FormatError(
      'format.too-large',
      `The vocabulary holds a token of ${token.length} characters; the limit is ${TOKEN_LENGTH_MAX}.`,
      { token: token.slice(0, 100) },
    );
  const characters = [...token];
  for (let at = 1; at < characters.length; at += 1) {
    const [left, right] = [characters.slice(0, at).join(''), characters.slice(at).join('')];
    if (isPart(left) && isPart(right)) yield [left, right];
  }
}

function normalTokens(tokens: readonly string[], types: readonly unknown[]): Set<string> {
  return new Set(tokens.filter((_, id) => types[id] === TOKEN_TYPE.normal));
}

/**
 * llama.cpp merges any two tokens that make a third, the one of the highest score first: the place of a token's first
 * merge, below zero. That is what the merges do where they hold every such two, and all that make a token stand together.
 */
function scoresOf(tokens: readonly string[], types: readonly number[], merges: readonly string[]): number[] {
  const normal = normalTokens(tokens, types);
  const first = new Map<string, number>();
  let previous = '';
  merges.forEach((merge, index) => {
    const made = merge.replace(' ', '');
    // Text that holds an added token is cut there, so no merge is ever asked for it.
    if (!normal.has(made)) return;
    if (!first.has(made)) first.set(made, index);
    else if (previous !== made) refuse('model.merges');
    previous = made;
  });
  const listed = new Set(merges);
  for (const token of normal)
    for (const [left, right] of splitsOf(token, (part) => normal.has(part)))
      if (!listed.has(`${left} ${right}`)) refuse('model.merges');
  return tokens.map((token) => -(first.get(token) ?? 0));
}

/**
 * GGUF metadata of a BPE tokenizer with byte fallback that writes spaces as `▁`: what llama.cpp calls "llama". Where two
 * merges that make the same token overlap in a text, llama.cpp takes the left one, as SentencePiece does.
 * @throws FormatError `format.unsupported` with the field that llama.cpp would compute otherwise.
 */
export function characterTokenizerEntries(
  json: CharacterTokenizer,
  { tokens, types, merges }: { tokens: readonly string[]; types: readonly number[]; merges: readonly string[] },
): [string, GgufEntry][] {
  const prefixes = prefixesSpace(json);
  const bytes = new Set(BYTE_TOKENS);
  const unknown = json.model.unk_token ?? undefined;
  const unknownId = unknown === undefined ? undefined : json.model.vocab.get(unknown);
  const ownTypes = tokens.map((token, id) => {
    if (id === unknownId) return TOKEN_TYPE.unknown;
    return bytes.has(token) ? TOKEN_TYPE.byte : (types[id] ?? TOKEN_TYPE.unused);
  });
  const scores = scoresOf(tokens, ownTypes, merges);
  return [
    ['tokenizer.ggml.model', { type: 'string', value: 'llama' }],
    ['tokenizer.ggml.pre', { type: 'string', value: 'default' }],
    ['tokenizer.ggml.tokens', { type: 'string[]', value: tokens }],
    ['tokenizer.ggml.scores', { type: 'float32[]', value: scores }],
    ['tokenizer.ggml.token_type', { type: 'int32[]', value: ownTypes }],
    ['tokenizer.ggml.add_space_prefix', { type: 'bool', value: prefixes }],
    ...(unknownId === undefined
      ? []
      : [['tokenizer.ggml.unknown_token_id', { type: 'uint32', value: unknownId }] satisfies [string, GgufEntry]]),
  ];
}

/** The fields of tokenizer.json that set such a tokenizer apart: those beside `model`, and those of `model`. */
export function characterTokenizerJson(gguf: {
  readonly tokens: readonly string[];
  readonly scores: readonly unknown[];
  readonly types: readonly unknown[];
  readonly prefixesSpace: boolean;
  readonly unknown: string | null;
}): { readonly fields: object; readonly model: object } {
  const { tokens, scores, types, prefixesSpace: prefixes, unknown } = gguf;
  const normal = normalTokens(tokens, types);
  const scoreOf = new Map(tokens.map((token, id) => [token, Number(scores[id] ?? 0)]));
  const byScore = [...normal].sort((a, b) => (scoreOf.get(b) ?? 0) - (scoreOf.get(a) ?? 0));
  const merges = byScore.flatMap((token) =>
    [...splitsOf(token, (part) => normal.has(part))].map((parts) => parts.join(' ')),
  );
  const decoders = [
    { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
    ...(prefixes ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
  ];
  return {
    fields: {
      normalizer: prefixes ? prefixing : replacing,
      pre_tokenizer: null,
      decoder: { type: 'Sequence', decoders },
    },
    model: { unk_token: unknown, fuse_unk: true, byte_fallback: true, ignore_merges: false, merges },
  };
}
