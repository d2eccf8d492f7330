import type { ROW_FORMATS } from '@luthier/contracts';
import type { TrainingRowIssue } from './row-issue.js';

export type RowFormat = (typeof ROW_FORMATS)[number];
export type MessageRole = 'system' | 'user' | 'assistant' | 'tool';

export interface TrainingMessage {
  readonly role: MessageRole;
  readonly content: string;
  /** Assistant only: 0 keeps the turn out of the loss. */
  readonly weight?: 0 | 1;
}

interface CommonFields {
  readonly format: RowFormat;
  /** Facts an answer must contain, for evaluation. */
  readonly facts?: readonly string[];
  /** Name of the evaluation suite the row belongs to. */
  readonly suite?: string;
}

/** A conversation whose answers are learnt. */
export interface ExampleRow extends CommonFields {
  readonly kind: 'examples';
  readonly messages: readonly TrainingMessage[];
}

/** Two answers to one prompt, which ends with the user or a tool. */
export interface PairRow extends CommonFields {
  readonly kind: 'pairs';
  readonly prompt: readonly TrainingMessage[];
  readonly chosen: string;
  readonly rejected: string;
}

/** A conversation whose last message is an answer that was rated. */
export interface RatingRow extends CommonFields {
  readonly kind: 'ratings';
  readonly messages: readonly TrainingMessage[];
  readonly desirable: boolean;
}

export interface TextRow extends CommonFields {
  readonly kind: 'text';
  readonly text: string;
}

/** A question without its answer: the model answers, and a grader judges by the fields beside it. */
export interface PromptRow extends CommonFields {
  readonly kind: 'prompts';
  readonly messages: readonly TrainingMessage[];
  readonly item: Readonly<Record<string, unknown>>;
}

export type TrainingRow = ExampleRow | PairRow | RatingRow | TextRow | PromptRow;

export type ParsedRow =
  | { readonly ok: true; readonly row: TrainingRow; readonly warnings: readonly TrainingRowIssue[] }
  | { readonly ok: false; readonly format: RowFormat | null; readonly issues: readonly TrainingRowIssue[] };

/** What is said: up to the answer to give, or the one that was rated, or, of a prompt, the question; of text nothing. */
export function conversationOf(row: TrainingRow): readonly TrainingMessage[] {
  switch (row.kind) {
    case 'examples':
    case 'ratings':
    case 'prompts':
      return row.messages;
    case 'pairs':
      return [...row.prompt, { role: 'assistant', content: row.chosen }];
    case 'text':
      return [];
  }
}

/** Everything in the row that a person wrote. */
export function textsOf(row: TrainingRow): readonly string[] {
  if (row.kind === 'text') return [row.text];
  const texts = conversationOf(row).map(({ content }) => content);
  return row.kind === 'pairs' ? [...texts, row.rejected] : texts;
}
