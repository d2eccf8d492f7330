import type { Told } from './told';

/** A sentence of the platform, and what it says. */
export type Rule = readonly [pattern: RegExp, told: (match: readonly string[]) => Told];

/** What the first rule that knows the sentence makes of it; null where none does. */
export function first(rules: readonly Rule[], sentence: string): Told | null {
  for (const [pattern, told] of rules) {
    const match = pattern.exec(sentence);
    if (match) return told(match);
  }
  return null;
}

/** A number that stands in a sentence. */
export const n = (text: string | undefined): number => Number(text ?? 0);
