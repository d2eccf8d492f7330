import type { ChatMessage, DatasetRow } from '@luthier/contracts';

/** A row as a question to both sides: the conversation up to its last answer, and what is expected of that answer. */
export interface Question {
  fileId: string;
  line: number;
  suite: string;
  /** Belongs to the job's held-out rows, not to the general questions. */
  heldOut: boolean;
  conversation: ChatMessage[];
  question: string;
  expected: string;
  /** All must be contained in a right answer; empty: the row is compared by ROUGE-L only. */
  facts: string[];
}

/** Undefined for a row that has nothing to ask, or no answer to compare with: one that was rated bad is none. */
export function toQuestion(fileId: string, heldOut: boolean, row: DatasetRow): Question | undefined {
  const last = row.messages.at(-1);
  const conversation = row.messages.slice(0, -1);
  const question = conversation.findLast((message) => message.role === 'user')?.content;
  if (row.desirable === false) return undefined;
  if (last?.role !== 'assistant' || question === undefined) return undefined;
  const suite = row.suite ?? (heldOut ? (row.facts.length > 0 ? 'facts' : 'held-out') : 'general');
  return { fileId, line: row.line, suite, heldOut, conversation, question, expected: last.content, facts: row.facts };
}
