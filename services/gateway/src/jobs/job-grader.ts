import { AppError, SIMILARITY_METRICS, graderFault } from '@luthier/contracts';
import type { Grader, HttpGrader } from '@luthier/contracts';

type HttpSimpleGrader = Extract<HttpGrader, { type: 'multi' }>['graders'][string];
type SimpleGrader = Exclude<Grader, { type: 'multi' }>;

const GRADERS = 'Use "string_check", "text_similarity" or a "multi" of them.';
const METRICS = `Use ${SIMILARITY_METRICS.map((metric) => `"${metric}"`).join(', ')}.`;
const WHY_NOT: Readonly<Record<string, string>> = {
  score_model: 'would ask another model for each answer, and there is none to ask while a run goes on',
  label_model: 'would ask another model for each answer, and there is none to ask while a run goes on',
  python: 'would run code of a request, which nothing here does',
  endpoint: 'would call another service, which a run cannot reach',
  meteor: 'needs a dictionary of synonyms, which is not installed',
  cosine: 'compares embeddings, and there is no model of embeddings here',
};

/**
 * OpenAI's grader as the contract's.
 * @throws AppError `request.unsupported` for one that is not there, `request.invalid` for a template or a formula that
 * cannot be read; both with the field.
 */
export function toGrader(given: HttpGrader, param: string): Grader {
  const grader = given.type === 'multi' ? toMulti(given, param) : toSimple(given, given.type, param);
  const fault = graderFault(grader);
  if (!fault) return grader;
  const field = [param, ...fault.path.map((step) => publicStep(step, grader))].join('.');
  throw new AppError('request.invalid', `${field}: ${fault.message}`, {
    param: field,
    hint: 'Templates hold {{sample.output_text}} and {{item.<field>}}; formulas the names of graders, numbers, + - * / ^ and functions.',
  });
}

function toMulti({ name, graders, calculate_output }: Extract<HttpGrader, { type: 'multi' }>, param: string): Grader {
  const entries = Object.entries(graders);
  if (entries.length === 0 || entries.length > 16) {
    const field = `${param}.graders`;
    throw new AppError('request.invalid', `${field}: expected 1 to 16 graders`, { param: field });
  }
  return {
    type: 'multi',
    name: name ?? 'multi',
    graders: entries.map(([key, one]) => toSimple(one, key, `${param}.graders.${key}`)),
    calculateOutput: calculate_output,
  };
}

function toSimple(given: HttpSimpleGrader, key: string, param: string): SimpleGrader {
  switch (given.type) {
    case 'string_check': {
      const { type, input, reference, operation, name } = given;
      return { type, name: param.includes('.graders.') ? key : (name ?? key), input, reference, operation };
    }
    case 'text_similarity': {
      const { type, input, reference, evaluation_metric: metric, name } = given;
      if (metric === 'meteor' || metric === 'cosine') throw refused(metric, `${param}.evaluation_metric`, METRICS);
      return {
        type,
        name: param.includes('.graders.') ? key : (name ?? key),
        input,
        reference,
        evaluationMetric: metric,
      };
    }
    default:
      throw refused(given.type, `${param}.type`, GRADERS);
  }
}

const refused = (what: string, param: string, hint: string): AppError =>
  new AppError('request.unsupported', `${param}: "${what}" ${WHY_NOT[what] ?? 'is not there'}`, { param, hint });

/** Graders have names there and places here. */
function publicStep(step: string | number, grader: Grader): string {
  if (typeof step === 'number') return grader.type === 'multi' ? (grader.graders[step]?.name ?? String(step)) : '';
  return step === 'calculateOutput' ? 'calculate_output' : step;
}

/** The contract's grader as OpenAI writes it. */
export function presentGrader(grader: Grader): HttpGrader {
  if (grader.type !== 'multi') return presentSimple(grader);
  const { type, name, graders, calculateOutput } = grader;
  const byName = Object.fromEntries(graders.map((one) => [one.name, presentSimple(one)]));
  return { type, name, graders: byName, calculate_output: calculateOutput };
}

function presentSimple(grader: SimpleGrader): Exclude<HttpSimpleGrader, { type: 'score_model' }> {
  if (grader.type === 'string_check') return grader;
  const { evaluationMetric, ...rest } = grader;
  return { ...rest, evaluation_metric: evaluationMetric };
}
