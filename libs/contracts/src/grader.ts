import { z } from 'zod';
import { GraderSyntaxError, checkFormula, templateFields } from './grader-syntax.js';

/** By which two texts can be compared. `meteor` and `cosine` are OpenAI's too; they need a dictionary and a model. */
export const SIMILARITY_METRICS = [
  'fuzzy_match',
  'bleu',
  'gleu',
  'rouge_1',
  'rouge_2',
  'rouge_3',
  'rouge_4',
  'rouge_5',
  'rouge_l',
] as const;

const name = z.string().min(1).max(64);
/** With places to fill in: `{{sample.output_text}}` is the answer, `{{item.x}}` a field of the row. */
const template = z.string().min(1).max(4096);

const stringCheck = z.strictObject({
  type: z.literal('string_check'),
  name,
  input: template,
  reference: template,
  /** Equal, not equal, contains, contains in whatever case. */
  operation: z.enum(['eq', 'ne', 'like', 'ilike']),
});
const textSimilarity = z.strictObject({
  type: z.literal('text_similarity'),
  name,
  input: template,
  reference: template,
  evaluationMetric: z.enum(SIMILARITY_METRICS),
});
const simpleGrader = z.discriminatedUnion('type', [stringCheck, textSimilarity]);
const multi = z.strictObject({
  type: z.literal('multi'),
  name,
  graders: z.array(simpleGrader).min(1).max(16),
  /** Over the names of the graders. */
  calculateOutput: z.string().min(1).max(1024),
});

/** What an answer is worth. Names and meanings are OpenAI's. */
export const grader = z.discriminatedUnion('type', [stringCheck, textSimilarity, multi]);
export type Grader = z.output<typeof grader>;
type SimpleGrader = z.output<typeof simpleGrader>;

export interface GraderFault {
  /** Path within the grader, in its own spelling. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** What a schema cannot say of it: templates and formula, names that the formula can use. Undefined: all is well. */
export function graderFault(asked: Grader): GraderFault | undefined {
  if (asked.type !== 'multi') return templateFault(asked);
  const names = asked.graders.map((one) => one.name);
  for (const [i, one] of asked.graders.entries()) {
    const fault = templateFault(one);
    if (fault) return { path: ['graders', i, ...fault.path], message: fault.message };
    if (IDENTIFIER.test(one.name) && names.indexOf(one.name) === i) continue;
    const why = IDENTIFIER.test(one.name) ? 'is there twice' : 'cannot stand in a formula: use letters, digits and _';
    return { path: ['graders', i, 'name'], message: `"${one.name}" ${why}` };
  }
  const message = saying(() => checkFormula(asked.calculateOutput, names));
  return message === undefined ? undefined : { path: ['calculateOutput'], message };
}

function templateFault(asked: SimpleGrader): GraderFault | undefined {
  for (const field of ['input', 'reference'] as const) {
    const message = saying(() => templateFields(asked[field]));
    if (message !== undefined) return { path: [field], message };
  }
  return undefined;
}

function saying(read: () => unknown): string | undefined {
  try {
    read();
    return undefined;
  } catch (cause) {
    if (cause instanceof GraderSyntaxError) return cause.message;
    throw cause;
  }
}

/** The fields of a row that it looks at, by their first names. @throws GraderSyntaxError; see `graderFault`. */
export function fieldsOfGrader(asked: Grader): string[] {
  const simple = asked.type === 'multi' ? asked.graders : [asked];
  const paths = simple.flatMap(({ input, reference }) => [...templateFields(input), ...templateFields(reference)]);
  return [...new Set(paths.map((path) => path.split('.')[0] ?? ''))];
}
