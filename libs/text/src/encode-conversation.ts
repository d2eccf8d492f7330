import type { ChatTemplate, RenderedConversation } from './chat-template.js';
import type { TurnSpan } from './template-worker.js';
import { TextError } from './text-error.js';
import type { TextTokenizer } from './tokenizer.js';

export interface ConversationMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly content: string;
  /** Assistant only: 0 keeps the turn out of the loss. */
  readonly weight?: 0 | 1;
}

/** `assistant`: only answers are trained, up to and with their end-of-turn token. `all`: every token but the first. */
export type MaskPolicy = 'assistant' | 'all';

export interface EncodeConversationOptions {
  readonly messages: readonly ConversationMessage[];
  readonly tokenizer: TextTokenizer;
  readonly template: ChatTemplate;
  /** Most tokens of a row; the end is cut off. */
  readonly cutoffLength: number;
  readonly maskPolicy: MaskPolicy;
}

export interface EncodedConversation {
  readonly tokens: Int32Array;
  /** 1 where the model is trained to predict this token; always 0 at the first token. */
  readonly trained: Uint8Array;
  /** Tokens before the last assistant turn. */
  readonly promptLength: number;
  readonly truncated: boolean;
  /** Tokens before the cut. */
  readonly fullLength: number;
  /** Earlier answers that are not trained because the template does not show where they lie. */
  readonly maskedTurns: number;
}

interface EncodedText {
  readonly tokens: Int32Array;
  /** Position in the rendered text at which each token begins (bytes counted from the piece's start) and whether it is an added token. */
  readonly starts: Float64Array;
  readonly added: Uint8Array;
}

/** A private-use character that occurs in none of the texts; it breaks special tokens in user text for the time of rendering. */
function chooseBreaker(messages: readonly ConversationMessage[]): string {
  for (let code = 0xe000; code < 0xe100; code += 1) {
    const character = String.fromCharCode(code);
    if (!messages.some(({ content }) => content.includes(character))) return character;
  }
  throw new TextError(
    'text.invalid-input',
    'The conversation uses 256 private-use characters; none is left to mark text with.',
  );
}

/**
 * Messages in which no text can be taken for a special token, and the character that broke them. They are normalised
 * first, so that positions in the rendered text are those of the text that the tokens spell.
 */
function protect(
  given: readonly ConversationMessage[],
  tokenizer: TextTokenizer,
): { messages: { role: string; content: string }[]; breaker: string } {
  const messages = given.map((message) => ({ ...message, content: tokenizer.normalise(message.content) }));
  const breaker = chooseBreaker(messages);
  const safe = messages.map(({ role, content }) => {
    let text = content;
    for (const token of tokenizer.addedTokens) {
      if (text.includes(token)) text = text.replaceAll(token, breakToken(token, breaker));
    }
    return { role, content: text };
  });
  return { messages: safe, breaker };
}

/** One-character tokens cannot be broken inside, so the mark goes behind them; all others are broken after their first character. */
function breakToken(token: string, breaker: string): string {
  const [first = ''] = token;
  if (first.length === token.length)
    throw new TextError('text.tokenizer-unsupported', `The added token "${token}" is a single character.`);
  return first + breaker + token.slice(first.length);
}

/** Encodes rendered text; byte positions are converted so that every token's start is known as a number of bytes before it. */
function encodeRendered(text: string, breaker: string, tokenizer: TextTokenizer): EncodedText {
  const ids: Int32Array[] = [];
  const sizes: Int32Array[] = [];
  const added: boolean[] = [];
  for (const { start, end, addedToken } of tokenizer.split(text)) {
    const raw = text.slice(start, end);
    if (addedToken !== undefined) {
      ids.push(Int32Array.of(addedToken));
      sizes.push(Int32Array.of(Buffer.byteLength(raw)));
    } else {
      const plain = tokenizer.encodePlain(raw.replaceAll(breaker, ''), start === 0);
      ids.push(plain.ids);
      sizes.push(plain.sizesBytes);
    }
    added.push(addedToken !== undefined);
  }
  const length = ids.reduce((sum, part) => sum + part.length, 0);
  const result = {
    tokens: new Int32Array(length),
    starts: new Float64Array(length + 1),
    added: new Uint8Array(length),
  };
  let at = 0;
  ids.forEach((part, i) => {
    result.tokens.set(part, at);
    for (const size of sizes[i] ?? []) {
      result.added[at] = added[i] ? 1 : 0;
      result.starts[at + 1] = (result.starts[at] ?? 0) + size;
      at += 1;
    }
  });
  return result;
}

/** First token that begins at or after a byte position. */
function tokenAt(starts: Float64Array, byte: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((starts[middle] ?? 0) < byte) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Tokens `[first, last)` of a turn. A token that begins before the turn counts to the prompt: the prompt is what the model is given. */
function tokenRange(
  span: TurnSpan,
  text: string,
  breaker: string,
  encoded: EncodedText,
): { first: number; last: number } {
  const bytes = (end: number): number => Buffer.byteLength(text.slice(0, end).replaceAll(breaker, ''));
  const first = tokenAt(encoded.starts, bytes(span.start));
  let last = tokenAt(encoded.starts, bytes(span.end));
  // Templates print a line break after the end-of-turn token; the model never gets to write it.
  for (let token = last - 1; token >= first; token -= 1) {
    if (encoded.added[token] === 1) {
      last = token + 1;
      break;
    }
  }
  return { first, last };
}

function refuseInconsistent(rendered: RenderedConversation): TurnSpan {
  const span = rendered.turns[rendered.turns.length - 1];
  if (!span) throw new TextError('text.invalid-input', 'The conversation has no assistant turn.');
  if (!span.consistent) {
    throw new TextError(
      'text.spans-inconsistent',
      'The chat template does not show where the last answer begins, so it cannot be told what to train.',
      { message: span.message },
    );
  }
  return span;
}

/**
 * Turns a conversation into one training row: rendered, tokenised, masked, cut. Special tokens written in message texts
 * are encoded as ordinary text. Where the template hides the place of earlier answers they are masked; where it hides
 * that of the last one the conversation is refused.
 */
export async function encodeConversation(options: EncodeConversationOptions): Promise<EncodedConversation> {
  const { tokenizer, template, cutoffLength, maskPolicy } = options;
  const { messages, breaker } = protect(options.messages, tokenizer);
  const rendered = await template.renderConversation(messages);
  const lastSpan = refuseInconsistent(rendered);
  const encoded = encodeRendered(rendered.text, breaker, tokenizer);
  const trained = new Uint8Array(encoded.tokens.length);
  let maskedTurns = 0;
  for (const span of rendered.turns) {
    if (options.messages[span.message]?.weight === 0) continue;
    if (!span.consistent) {
      maskedTurns += 1;
      continue;
    }
    const { first, last } = tokenRange(span, rendered.text, breaker, encoded);
    trained.fill(1, first, last);
  }
  if (maskPolicy === 'all') trained.fill(1);
  trained[0] = 0;
  const promptLength = tokenRange(lastSpan, rendered.text, breaker, encoded).first;
  const fullLength = encoded.tokens.length;
  const truncated = fullLength > cutoffLength;
  return {
    tokens: truncated ? encoded.tokens.slice(0, cutoffLength) : encoded.tokens,
    trained: truncated ? trained.slice(0, cutoffLength) : trained,
    promptLength: Math.min(promptLength, cutoffLength),
    truncated,
    fullLength,
    maskedTurns: maskPolicy === 'all' ? 0 : maskedTurns,
  };
}

/** The tokens of a conversation up to where the next answer begins, as they are given to the model. */
export async function encodePrompt(
  options: Pick<EncodeConversationOptions, 'messages' | 'tokenizer' | 'template'>,
): Promise<Int32Array> {
  const { messages, breaker } = protect(options.messages, options.tokenizer);
  const text = await options.template.render(messages, { addGenerationPrompt: true });
  return encodeRendered(text, breaker, options.tokenizer).tokens;
}
