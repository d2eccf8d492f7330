import { first, n } from './sentences';
import type { Rule } from './sentences';
import type { Told } from './told';

/** A fault at a place; `more` is what the sentence says beside. */
const placed = ([, text = '', place]: readonly string[], key: string, more?: Told['values']): Told => ({
  key: `formula.${key}`,
  values: { text, place: n(place), ...more },
});

const AT = '^"(.+)" at character (\\d+)';
const FAULTS: readonly Rule[] = [
  [new RegExp(`${AT} stands in the wrong place; "\\)" is missing$`), (match) => placed(match, 'notClosedBefore')],
  [new RegExp(`${AT} stands in the wrong place$`), (match) => placed(match, 'misplaced')],
  [new RegExp(`${AT} does not belong into a formula$`), (match) => placed(match, 'foreign')],
  [new RegExp(`${AT} is not one of`), (match) => placed(match, 'noFunction')],
  [
    new RegExp(`${AT} is not the name of a grader; there are (.+)$`),
    (match) => placed(match, 'noGrader', { names: match[3] ?? '' }),
  ],
  [new RegExp(`${AT} takes (\\d+) at most, not`), (match) => placed(match, 'tooMany', { most: n(match[3]) })],
  [/^the formula ends too early; "\)" is missing$/, () => ({ key: 'formula.notClosed' })],
  [/^the formula ends too early$/, () => ({ key: 'formula.endsEarly' })],
  [/^it lies more than (\d+) brackets/, ([, most]) => ({ key: 'formula.tooDeep', values: { most: n(most) } })],
];

/** What cannot be read of a grader's formula. Null: the platform's sentence stands. */
export const formulaTold = (fault: string): Told | null => first(FAULTS, fault);
