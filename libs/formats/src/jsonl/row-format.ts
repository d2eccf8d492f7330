import type { RowKind } from '@luthier/contracts';
import type { JsonObject, RowBuilder } from './row-builder.js';
import type { PairRow, RowFormat } from './training-row.js';

export type Answers = Pick<PairRow, 'chosen' | 'rejected'>;
type Names = readonly [string, ...string[]];

/** One way of writing rows. */
export interface RowFormatReader {
  readonly format: RowFormat;
  /** Any of them shows that a row is written so. */
  readonly fields: readonly string[];
  /** The field of the answer where it has one of its own; a pair has two others instead. */
  readonly answerField?: string;
  /** What the two answers of a pair are called, if not `chosen` and `rejected`. */
  readonly pairFields?: { readonly chosen: Names; readonly rejected: Names };
  /**
   * Adds the row's messages, of a pair those before its two answers. Gives back the two answers where they cannot be read
   * without the messages.
   */
  readonly read: (row: JsonObject, kind: RowKind, build: RowBuilder) => Answers | undefined;
}
