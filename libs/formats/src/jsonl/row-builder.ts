import { rowError } from './row-issue.js';
import type { TrainingRowIssue } from './row-issue.js';
import type { MessageRole, TrainingMessage } from './training-row.js';

export type JsonObject = Record<string, unknown>;

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Tables are often exported with `null` where a row has no value. */
export const isGiven = (value: unknown): boolean => value !== undefined && value !== null;

export function describe(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** Gathers the issues and messages of one row. */
export class RowBuilder {
  readonly issues: TrainingRowIssue[];
  readonly messages: TrainingMessage[] = [];

  /** Another conversation of the same row shares its issues. */
  constructor(of?: RowBuilder) {
    this.issues = of?.issues ?? [];
  }

  refuse(...issue: Parameters<typeof rowError>): void {
    this.issues.push(rowError(...issue));
  }

  text(source: JsonObject, key: string, path: string, options: { optional?: boolean } = {}): string | undefined {
    const value = source[key];
    if (value === undefined || value === null) {
      if (!options.optional)
        this.refuse('missing-field', path, `"${path}" is missing.`, `Add "${path}" with the text.`);
      return undefined;
    }
    if (typeof value !== 'string') {
      this.refuse('wrong-type', path, `"${path}" must be text, it is ${describe(value)}.`, 'Put the value in quotes.');
      return undefined;
    }
    if (value.trim() === '' && !options.optional) {
      this.refuse('empty-field', path, `"${path}" is empty.`, 'Fill it in or remove the row.');
      return undefined;
    }
    return value;
  }

  /** A list with at least one entry; `example` shows how to write it. */
  list(value: unknown, path: string, what: string, example: string): readonly unknown[] {
    if (Array.isArray(value) && value.length > 0) return value as unknown[];
    const code = Array.isArray(value) ? 'empty-field' : isGiven(value) ? 'wrong-type' : 'missing-field';
    this.refuse(code, path, `"${path}" must be a list with at least one ${what}.`, `Write ${example}.`);
    return [];
  }

  add(role: MessageRole, content: string | undefined, weight?: 0 | 1): void {
    if (content !== undefined && content !== '')
      this.messages.push({ role, content, ...(weight !== undefined && { weight }) });
  }
}
