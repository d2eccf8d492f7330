import { normaliseText } from './normalise.js';

/** Whether `fact` stands in `text` with no letter or digit of the same kind running on at either end. Both normalised. */
function containsBounded(text: string, fact: string): boolean {
  const isWord = (character: string | undefined): boolean =>
    character !== undefined && /[\p{L}\p{N}\p{M}]/u.test(character);
  const isSpaceless = (character: string | undefined): boolean =>
    character !== undefined && /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u.test(character);
  const joins = (a: string | undefined, b: string | undefined): boolean =>
    isWord(a) && isWord(b) && !isSpaceless(a) && !isSpaceless(b);
  for (let at = text.indexOf(fact); at >= 0; at = text.indexOf(fact, at + 1)) {
    const before = [...text.slice(Math.max(0, at - 2), at)].at(-1);
    const after = [...text.slice(at + fact.length, at + fact.length + 2)][0];
    const numberGoesOn = /\d[.,]$/.test(text.slice(0, at)) && /^\d/.test(fact);
    const numberFollows = /^[.,]\d/.test(text.slice(at + fact.length)) && /\d$/.test(fact);
    if (!joins(before, [...fact][0]) && !joins([...fact].at(-1), after) && !numberGoesOn && !numberFollows) return true;
  }
  return false;
}

/** For each fact whether the answer contains it; `|` separates wordings of one fact. */
export function factsContained(answer: string, facts: readonly string[]): boolean[] {
  const text = normaliseText(answer);
  return facts.map((fact) =>
    fact
      .split('|')
      .map(normaliseText)
      .some((wording) => wording !== '' && containsBounded(text, wording)),
  );
}

/** A row counts when all its facts are contained. */
export function allFactsContained(answer: string, facts: readonly string[]): boolean {
  return factsContained(answer, facts).every(Boolean);
}

/** Equal after Unicode, case, white space and punctuation are normalised. */
export function exactMatch(answer: string, reference: string): boolean {
  return normaliseText(answer) === normaliseText(reference);
}
