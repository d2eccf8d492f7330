import { describe, expect, it } from '@jest/globals';
import { EMPTY_GRADER, GRADINGS, graderFormOf, graderOf } from './grader-form';

const answered = { input: '{{sample.output_text}}', reference: '{{item.answer}}' };

describe('what makes an answer a good one', () => {
  it.each(GRADINGS)('said as "%s" is a grader, which a later form shows as the same', (grading) => {
    const form = { ...EMPTY_GRADER, grading, gradeField: 'answer' };
    const grader = graderOf(form);
    expect(JSON.stringify(grader)).toContain(JSON.stringify(answered).slice(1, -1));
    const stored = { ...grader, ...(grader?.type === 'multi' && { graders: Object.values(grader.graders) }) };
    expect(graderFormOf({ ...stored, name: 'other' } as Parameters<typeof graderFormOf>[0])).toEqual(form);
  });

  it('cannot be said without a field to hold answers against', () => {
    expect(graderOf(EMPTY_GRADER)).toBeUndefined();
  });

  it('may be a formula over all rules, which is not one as long as it is empty', () => {
    const form = {
      ...EMPTY_GRADER,
      grading: 'formula',
      gradeField: 'answer',
      formula: ' min(equals, wording) ',
    } as const;
    expect(graderOf(form)).toMatchObject({
      ...{ type: 'multi', calculate_output: 'min(equals, wording)' },
      graders: { equals: answered, contains: answered, wording: answered, spelling: answered },
    });
    expect(graderOf({ ...form, formula: ' ' })).toBeUndefined();
  });

  it('is taken over from an earlier job where no sentence says it', () => {
    const check = { type: 'string_check', name: 'right', operation: 'ne', ...answered } as const;
    const form = graderFormOf(check);
    expect(form.grading).toBe('kept');
    expect(graderOf(form)).toEqual(check);
    const both = { type: 'multi', name: 'both', graders: [check], calculate_output: '1 - right' } as const;
    expect(graderOf(graderFormOf({ ...both, graders: [check] }))).toEqual({ ...both, graders: { right: check } });
  });
});
