import { describe, expect, it } from '@jest/globals';
import { fieldsOfGrader, graderFault } from './grader.js';
import type { Grader } from './grader.js';

type Simple = Extract<Grader, { type: 'string_check' }>;
const check = (change: Partial<Simple> = {}): Simple => ({
  ...{ type: 'string_check', name: 'a', input: '{{sample.output_text}}', reference: '{{ item.answer }}' },
  ...{ operation: 'eq', ...change },
});
const multi = (calculateOutput: string, ...graders: Simple[]): Grader => ({
  ...{ type: 'multi', name: 'all', calculateOutput },
  graders: graders.length > 0 ? graders : [check(), check({ name: 'b' })],
});

describe('graders', () => {
  it.each([
    'a + b * 2 - 1',
    '-a ^ 2 ^ b',
    'min(a, b, 0.5) / max(.1, abs(-b))',
    'floor(a) + ceil(b) * exp(log(sqrt(a)))',
    '((((a))))',
  ])('may be put together as %s', (formula) => expect(graderFault(multi(formula))).toBeUndefined());

  it.each([
    ['', 'ends too early'],
    ['a +', 'ends too early'],
    ['(a', '")" is missing'],
    ['a b', '"b" at character 3'],
    ['a + c', '"c" at character 5 is not the name of a grader; there are a, b'],
    ["require('fs')", '"\'" at character 9 does not belong'],
    ['constructor(a)', '"constructor" at character 1 is not one of min'],
    ['a.constructor', '"." at character 2 does not belong'],
    ['a[0]', '"[" at character 2'],
    ['exp(a, b)', 'takes 1 at most, not 2'],
    ['('.repeat(40) + 'a' + ')'.repeat(40), 'more than 32'],
    [Array(40).fill('a').join('^'), 'more than 32'],
    ['a;b', '";" at character 2'],
  ])('are refused with the formula %s and the place', (formula, said) => {
    expect(graderFault(multi(formula))).toMatchObject({
      path: ['calculateOutput'],
      message: expect.stringContaining(said),
    });
  });

  it.each([
    ['{{item.x', 'at character 1 is not closed'],
    ['a {{item}}', 'at character 3 cannot be filled in'],
    ['{{item.x | safe}}', 'cannot be filled in'],
    ['{{sample.output_json.x}}', 'cannot be filled in'],
    ['{{{{item.x}}}}', 'cannot be filled in'],
  ])('are refused with the template %s and the place', (reference, said) => {
    const message = expect.stringContaining(said);
    expect(graderFault(check({ reference }))).toMatchObject({ path: ['reference'], message });
    expect(graderFault(multi('a', check({ reference })))).toMatchObject({ path: ['graders', 0, 'reference'], message });
  });

  it('have names of their own that a formula can use', () => {
    expect(graderFault(multi('a', check(), check()))).toMatchObject({ path: ['graders', 1, 'name'] });
    expect(graderFault(multi('a', check({ name: 'my grader' })))).toMatchObject({ path: ['graders', 0, 'name'] });
    expect(graderFault(check({ name: 'my grader' }))).toBeUndefined();
  });

  it('tell the fields of a row that they look at', () => {
    const other = check({ name: 'b', input: 'x {{item.parts.0.text}} {{item.answer}}', reference: 'fixed' });
    expect(fieldsOfGrader(multi('a', check(), other))).toEqual(['answer', 'parts']);
  });
});
