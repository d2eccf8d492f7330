import type { RowBuilder } from '../row-builder.js';
import type { RowFormatReader } from '../row-format.js';

function readHistory(history: unknown, build: RowBuilder): void {
  if (history === undefined || history === null) return;
  const isPair = (turn: unknown): turn is [string, string] =>
    Array.isArray(turn) && turn.length === 2 && turn.every((text) => typeof text === 'string');
  if (!Array.isArray(history) || !history.every(isPair)) {
    build.refuse(
      'wrong-type',
      'history',
      '"history" must be a list of [question, answer] pairs.',
      'Write it as [["question", "answer"], ...].',
    );
    return;
  }
  for (const [question, answer] of history) {
    build.add('user', question);
    build.add('assistant', answer);
  }
}

/** `instruction`, `input`, `output`, `system`, `history`. */
export const alpaca: RowFormatReader = {
  format: 'alpaca',
  fields: ['instruction', 'output'],
  answerField: 'output',
  read(row, kind, build) {
    build.add('system', build.text(row, 'system', 'system', { optional: true }));
    readHistory(row['history'], build);
    const instruction = build.text(row, 'instruction', 'instruction');
    const input = build.text(row, 'input', 'input', { optional: true });
    build.add('user', instruction !== undefined && input ? `${instruction}\n${input}` : instruction);
    if (kind !== 'pairs') build.add('assistant', build.text(row, 'output', 'output'));
    return undefined;
  },
};
