import type { RowToStore, TrainingMessage, TrainingRow } from '@luthier/formats';
import { conversationOf } from '@luthier/formats';
import { encodeConversation, encodeDocument, encodePrompt } from '@luthier/text';
import type { ChatTemplate, TextTokenizer } from '@luthier/text';

export type EncodedRow = Pick<RowToStore, 'tokens' | 'trained' | 'promptLength' | 'truncated' | 'label' | 'item'>;
/** What is stored, ordered and trained as a whole: a row, or a chosen row and the rejected one. */
export type EncodedUnit = readonly [EncodedRow] | readonly [EncodedRow, EncodedRow];

export interface TextParts {
  readonly tokenizer: TextTokenizer;
  readonly template: ChatTemplate;
  readonly cutoffLength: number;
}

/**
 * A row of a file as what it is trained by: one unit, several of a long text, none of a pair whose answers are the same as
 * far as they are kept, and of a prompt that is too long. @throws TextError for a row that cannot be rendered.
 */
export async function encodeRow(row: TrainingRow, parts: TextParts): Promise<readonly EncodedUnit[]> {
  switch (row.kind) {
    case 'examples':
      return [[await encode(row.messages, parts)]];
    case 'ratings': {
      const rated = await encode(lastAnswerOnly(row.messages), parts);
      return [[{ ...rated, label: row.desirable ? 1 : 0 }]];
    }
    case 'pairs': {
      const chosen = lastAnswerOnly(conversationOf(row));
      const rejected = lastAnswerOnly(conversationOf({ ...row, chosen: row.rejected }));
      return pairOf(...(await Promise.all([encode(chosen, parts), encode(rejected, parts)])));
    }
    case 'prompts': {
      // Without its end a prompt asks something else, so a long one is left out.
      const tokens = await encodePrompt({ ...parts, messages: row.messages });
      if (tokens.length > parts.cutoffLength) return [];
      const nothing = new Uint8Array(tokens.length);
      return [[{ tokens, trained: nothing, promptLength: tokens.length, item: row.item }]];
    }
    case 'text':
      return encodeDocument(row.text, parts.tokenizer, parts.cutoffLength).map((tokens) => [plainRow(tokens)]);
  }
}

async function encode(messages: readonly TrainingMessage[], parts: TextParts): Promise<EncodedRow> {
  const encoded = await encodeConversation({ ...parts, messages, maskPolicy: 'assistant' });
  const { tokens, trained, promptLength, truncated } = encoded;
  return { tokens, trained, promptLength, truncated };
}

/** Only the answer that was compared or rated is learnt; earlier ones are part of the prompt. */
const lastAnswerOnly = (messages: readonly TrainingMessage[]): TrainingMessage[] =>
  messages.map((message, i) =>
    message.role === 'assistant' && i < messages.length - 1 ? { ...message, weight: 0 } : message,
  );

function pairOf(chosen: EncodedRow, rejected: EncodedRow): readonly EncodedUnit[] {
  const common = commonLength(chosen.tokens, rejected.tokens);
  if (common === chosen.tokens.length && common === rejected.tokens.length) return [];
  // A token may reach from the prompt into the answer, and then differs: it is trained in neither row.
  const promptLength = Math.min(common, chosen.promptLength, rejected.promptLength);
  return [
    [
      { ...chosen, promptLength },
      { ...rejected, promptLength },
    ],
  ];
}

function commonLength(a: Int32Array, b: Int32Array): number {
  const differs = a.findIndex((token, i) => token !== b[i]);
  return differs < 0 ? a.length : differs;
}

function plainRow(tokens: Int32Array): EncodedRow {
  const trained = new Uint8Array(tokens.length).fill(1);
  trained[0] = 0; // nothing predicts it
  return { tokens, trained, promptLength: 0 };
}
