import type { EvaluationRecord, Score } from '@luthier/contracts';
import { allFactsContained, rougeL } from '@luthier/metrics';
import type { Question } from './question.js';

export interface AnsweredQuestion extends Question {
  base: string;
  tuned: string;
  /** Why it could not be asked; such a question counts in no measure. */
  notAnswered: string | null;
}

type Measures = Pick<EvaluationRecord, 'base' | 'tuned' | 'suites' | 'samples'>;
type Side = 'base' | 'tuned';

const share = (right: number, total: number): { right: number; total: number; share: number } => ({
  right,
  total,
  share: total === 0 ? 0 : right / total,
});

const isRight = (question: Question, answer: string): boolean | null =>
  question.facts.length === 0 ? null : allFactsContained(answer, question.facts);

/** All measures of an evaluation from its answers; what the run scored itself is taken over. */
export function measure(
  questions: readonly AnsweredQuestion[],
  run: { base: Score | null; tuned: Score | null },
): Measures {
  const answered = questions.filter(({ notAnswered }) => notAnswered === null);
  const heldOut = answered.filter((question) => question.heldOut);
  const side = (which: Side) => {
    const facts = heldOut.filter((question) => question.suite === 'facts' && question.facts.length > 0);
    return {
      perplexity: run[which]?.perplexity ?? null,
      tokenAccuracy: run[which]?.tokenAccuracy ?? null,
      rougeL: heldOut.length === 0 ? null : mean(heldOut.map((question) => rougeL(question[which], question.expected))),
      factAccuracy: facts.length === 0 ? null : share(countRight(facts, which), facts.length).share,
    };
  };
  return { base: side('base'), tuned: side('tuned'), suites: bySuite(answered), samples: questions.map(toSample) };
}

function bySuite(answered: readonly AnsweredQuestion[]): EvaluationRecord['suites'] {
  const judged = answered.filter((question) => question.facts.length > 0);
  const names = [...new Set(judged.map((question) => question.suite))];
  return Object.fromEntries(
    names.map((name) => {
      const rows = judged.filter((question) => question.suite === name);
      return [
        name,
        { base: share(countRight(rows, 'base'), rows.length), tuned: share(countRight(rows, 'tuned'), rows.length) },
      ];
    }),
  );
}

const countRight = (rows: readonly AnsweredQuestion[], side: Side): number =>
  rows.filter((question) => isRight(question, question[side]) === true).length;

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

function toSample(question: AnsweredQuestion): EvaluationRecord['samples'][number] {
  const { suite, line, question: text, expected, facts, base, tuned, notAnswered } = question;
  const rightBy = (answer: string): boolean | null => (notAnswered === null ? isRight(question, answer) : null);
  return {
    suite,
    line,
    question: text,
    expected,
    facts,
    base,
    tuned,
    baseRight: rightBy(base),
    tunedRight: rightBy(tuned),
    notAnswered,
  };
}

/** What travels in one message together with the rest of a record. */
const SAMPLES_BYTES_MAX = 512 * 1024;
const SAMPLE_TEXT_CHARACTERS_MAX = 2_000;

/** The samples to show: long texts are cut, and the last rows left out when all of them would not fit into a message. */
export function samplesToKeep(samples: EvaluationRecord['samples']): EvaluationRecord['samples'] {
  const kept: EvaluationRecord['samples'] = [];
  let bytes = 0;
  for (const sample of samples) {
    const { question, expected, base, tuned } = sample;
    const short = { ...sample, question: cut(question), expected: cut(expected), base: cut(base), tuned: cut(tuned) };
    bytes += Buffer.byteLength(JSON.stringify(short));
    if (bytes > SAMPLES_BYTES_MAX) break;
    kept.push(short);
  }
  return kept;
}

const cut = (text: string): string =>
  text.length <= SAMPLE_TEXT_CHARACTERS_MAX ? text : `${text.slice(0, SAMPLE_TEXT_CHARACTERS_MAX)}…`;
