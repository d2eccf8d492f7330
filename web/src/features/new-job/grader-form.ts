import type { Job, JobBody } from '../../lib/api/jobs';

export type Grader = NonNullable<NonNullable<NonNullable<JobBody['method']>['grpo']>['grader']>;

/** Ways of grading that fit into a sentence: by these names they stand in a formula. */
const RULES = ['equals', 'contains', 'wording', 'spelling'] as const;
export const GRADINGS = [...RULES, 'formula'] as const;
/** `kept` is the grader of an earlier job that is none of the others. */
export type Grading = (typeof GRADINGS)[number] | 'kept';

export interface GraderForm {
  grading: Grading;
  /** The field of the rows that an answer is held against; empty: the first that there is. */
  gradeField: string;
  /** Over what the rules give. */
  formula: string;
  /** As JSON. */
  keptGrader: string;
}

export const EMPTY_GRADER: GraderForm = {
  grading: 'equals',
  gradeField: '',
  formula: '0.5 * contains + 0.5 * wording',
  keptGrader: '',
};

const WAYS = {
  equals: { type: 'string_check', operation: 'eq' },
  contains: { type: 'string_check', operation: 'ilike' },
  wording: { type: 'text_similarity', evaluation_metric: 'rouge_l' },
  spelling: { type: 'text_similarity', evaluation_metric: 'fuzzy_match' },
} as const;

const referenceTo = (field: string): string => `{{item.${field}}}`;

const ruleOf = (rule: (typeof RULES)[number], field: string) => ({
  ...{ name: rule, input: '{{sample.output_text}}', reference: referenceTo(field) },
  ...WAYS[rule],
});

/** Undefined as long as there is nothing to hold answers against, or no formula. */
export function graderOf({ grading, gradeField, formula, keptGrader }: GraderForm): Grader | undefined {
  if (grading === 'kept') return JSON.parse(keptGrader) as Grader;
  if (gradeField === '' || formula.trim() === '') return undefined;
  if (grading !== 'formula') return ruleOf(grading, gradeField);
  const graders = Object.fromEntries(RULES.map((rule) => [rule, ruleOf(rule, gradeField)]));
  return { type: 'multi', name: grading, graders, calculate_output: formula.trim() };
}

type StoredGrader = Extract<Job['method'], { type: 'grpo' }>['grader'];

/** The grader of an earlier job, as the form shows it. */
export function graderFormOf(stored: StoredGrader): GraderForm {
  const grader = requested(stored);
  const rule = stored.type === 'multi' ? stored.graders[0] : stored;
  const gradeField = /^\{\{item\.([A-Za-z0-9_-]+)\}\}$/.exec(rule?.reference ?? '')?.[1] ?? '';
  const form = {
    ...{ ...EMPTY_GRADER, gradeField },
    ...(stored.type === 'multi' && { formula: stored.calculate_output }),
  };
  const same = GRADINGS.find((grading) => sameBesideNames(graderOf({ ...form, grading }), grader));
  return same ? { ...form, grading: same } : { ...EMPTY_GRADER, grading: 'kept', keptGrader: JSON.stringify(grader) };
}

/** Nobody has to have named a grader as this form does; in a formula, a name is a key. */
function sameBesideNames(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((name) => name !== 'name');
  return names.every((name) => sameBesideNames(Reflect.get(a, name), Reflect.get(b, name)));
}

/** A job's record lists the graders that a request names. */
const requested = (stored: StoredGrader): Grader =>
  stored.type === 'multi'
    ? { ...stored, graders: Object.fromEntries(stored.graders.map((one) => [one.name, one])) }
    : stored;
