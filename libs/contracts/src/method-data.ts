import { z } from 'zod';
import type { Method } from './run-spec.js';

/** What the rows of a file are: a file holds rows of one kind. */
export const ROW_KINDS = ['examples', 'pairs', 'ratings', 'text', 'prompts'] as const;
export const rowKind = z.enum(ROW_KINDS);
export type RowKind = z.output<typeof rowKind>;

/** How rows are stored for a runtime (the manifest's `kind`), as far as methods here learn from them. */
export const preparedKind = z.enum(['sft', 'pretrain', 'preference', 'kto', 'prompts']);
export type PreparedKind = z.output<typeof preparedKind>;

export const ROWS_OF_PREPARED: Readonly<Record<PreparedKind, RowKind>> = {
  sft: 'examples',
  pretrain: 'text',
  preference: 'pairs',
  kto: 'ratings',
  prompts: 'prompts',
};

export const PREPARED_FOR_METHOD: Readonly<Record<Method['type'], PreparedKind>> = {
  supervised: 'sft',
  pretrain: 'pretrain',
  dpo: 'preference',
  orpo: 'preference',
  simpo: 'preference',
  reward: 'preference',
  kto: 'kto',
  grpo: 'prompts',
};

/** The rows that a method learns from. */
export const rowsOfMethod = (method: Method['type']): RowKind => ROWS_OF_PREPARED[PREPARED_FOR_METHOD[method]];

/** What a job can be asked to do. */
export const JOB_METHODS = ['supervised', 'pretrain', 'dpo', 'orpo', 'simpo', 'reward', 'kto', 'grpo'] as const;
export type JobMethod = (typeof JOB_METHODS)[number];

/** Whether what comes of it gives points to answers instead of answering. */
export const givesPoints = (method: Method['type']): boolean => method === 'reward';

/** The methods that learn from such rows, the usual one first. */
export const methodsForRows = (rows: RowKind): JobMethod[] =>
  JOB_METHODS.filter((method) => rowsOfMethod(method) === rows);
