import type { Job, JobBody } from '../../lib/api';

export type Grader = NonNullable<NonNullable<NonNullable<JobBody['method']>['grpo']>['grader']>;

/** Ways of grading that fit into a sentence; `kept` is the grader of an earlier job that is none of them. */
export const GRADINGS = ['equals', 'contains', 'wording', 'spelling'] as const;
export type Grading = (typeof GRADINGS)[number] | 'kept';

export interface GraderForm {
  grading: Grading;
  /** The field of the rows that an answer is held against; empty: the first that there is. */
  gradeField: string;
  /** As JSON. */
  keptGrader: string;
}

export const EMPTY_GRADER: GraderForm = { grading: 'equals', gradeField: '', keptGrader: '' };

const WAYS = {
  equals: { type: 'string_check', operation: 'eq' },
  contains: { type: 'string_check', operation: 'ilike' },
  wording: { type: 'text_similarity', evaluation_metric: 'rouge_l' },
  spelling: { type: 'text_similarity', evaluation_metric: 'fuzzy_match' },
} as const;

const referenceTo = (field: string): string => `{{item.${field}}}`;

/** Undefined as long as there is nothing to hold answers against. */
export function graderOf({ grading, gradeField, keptGrader }: GraderForm): Grader | undefined {
  if (grading === 'kept') return JSON.parse(keptGrader) as Grader;
  if (gradeField === '') return undefined;
  return { name: grading, input: '{{sample.output_text}}', reference: referenceTo(gradeField), ...WAYS[grading] };
}

type StoredGrader = Extract<Job['method'], { type: 'grpo' }>['grader'];

/** The grader of an earlier job, as the form shows it. */
export function graderFormOf(stored: StoredGrader): GraderForm {
  const grader = requested(stored);
  const gradeField =
    stored.type === 'multi' ? '' : (/^\{\{item\.([A-Za-z0-9_-]+)\}\}$/.exec(stored.reference)?.[1] ?? '');
  const same = GRADINGS.find((grading) => sameGrader(graderOf({ ...EMPTY_GRADER, grading, gradeField }), grader));
  return same
    ? { ...EMPTY_GRADER, grading: same, gradeField }
    : { grading: 'kept', gradeField: '', keptGrader: JSON.stringify(grader) };
}

const sameGrader = (a: Grader | undefined, b: Grader): boolean =>
  a !== undefined && Object.entries(a).every(([name, value]) => name === 'name' || b[name as keyof Grader] === value);

/** A job's record lists the graders that a request names. */
const requested = (stored: StoredGrader): Grader =>
  stored.type === 'multi'
    ? { ...stored, graders: Object.fromEntries(stored.graders.map((one) => [one.name, one])) }
    : stored;
