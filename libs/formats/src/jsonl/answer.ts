import { RowBuilder, describe, isGiven, isObject } from './row-builder.js';
import type { JsonObject } from './row-builder.js';
import { readMessages } from './turns.js';

/** The first of these fields that the row has, else the first. */
export const fieldIn = (row: JsonObject, names: readonly [string, ...string[]]): string =>
  names.find((name) => isGiven(row[name])) ?? names[0];

/** One answer: a text, a message of the assistant, or a list with that message alone. Undefined where it is refused. */
export function readAnswer(row: JsonObject, field: string, build: RowBuilder): string | undefined {
  const value = row[field];
  if (typeof value === 'string' || !isGiven(value)) return build.text(row, field, field);
  const messages: readonly unknown[] = Array.isArray(value) ? (value as unknown[]) : [value];
  if (messages.length !== 1 || !isObject(messages[0])) {
    build.refuse(
      'wrong-type',
      field,
      `"${field}" must be one answer, it is ${Array.isArray(value) ? `a list of ${value.length}` : describe(value)}.`,
      `Write "${field}": "...", or [{"role": "assistant", "content": "..."}].`,
    );
    return undefined;
  }
  const issuesBefore = build.issues.length;
  const answer = new RowBuilder(build);
  readMessages(messages, field, answer);
  const [message] = answer.messages;
  if (build.issues.length > issuesBefore || message === undefined) return undefined;
  if (message.role === 'assistant') return message.content;
  build.refuse(
    'bad-role',
    field,
    `"${field}" must be what the assistant says.`,
    'Give the message the role assistant.',
  );
  return undefined;
}
