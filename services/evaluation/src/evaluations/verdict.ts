import type { EvaluationRecord } from '@luthier/contracts';

type Measures = Pick<EvaluationRecord, 'base' | 'tuned' | 'suites' | 'samples'>;
export type Verdict = Pick<EvaluationRecord, 'verdict'> & { verdictReason: string };

/** A difference as rare as this under pure chance counts as shown. */
const SIGNIFICANCE = 0.05;
const NO_HELD_OUT = 'The job has no held-out rows, so nothing shows whether the model is better than its base.';
const NOTHING_ASKED = 'The held-out rows ask nothing that could be answered, so there are no answers to judge.';
/** Below this share of the base's right general answers, forgetting outweighs what was learned. */
const GENERAL_KEPT_MIN = 0.7;

const UNANSWERED_NAMED_MAX = 5;

/**
 * Whether the tuned model is better than its base: on rows judged right or wrong by an exact sign test over the rows
 * where the two differ (McNemar), and only if general questions are still answered. Without such rows nothing is
 * claimed, since a lower perplexity alone does not show better answers. Rows that could not be answered count for
 * neither side, and are named.
 */
export function judge(measures: Measures): Verdict {
  const { verdict, verdictReason } = judgeAnswered(measures);
  const unanswered = unansweredRows(measures.samples);
  return { verdict, verdictReason: unanswered === '' ? verdictReason : `${verdictReason} ${unanswered}` };
}

function judgeAnswered(measures: Measures): Verdict {
  if (measures.samples.every((s) => s.suite === 'general')) {
    if (measures.tuned?.perplexity != null) {
      return { verdict: 'not-shown', verdictReason: `${NOTHING_ASKED}${generalCounts(measures)}` };
    }
    return { verdict: 'unproven', verdictReason: `${NO_HELD_OUT}${generalCounts(measures)}` };
  }
  const judged = measures.samples.filter((s) => s.suite !== 'general' && s.baseRight !== null);
  if (judged.length === 0) {
    if (measures.samples.some((s) => s.suite !== 'general' && s.facts.length > 0))
      return { verdict: 'not-shown', verdictReason: 'No held-out row that names facts could be answered.' };
    return {
      verdict: 'not-shown',
      verdictReason:
        'The held-out rows name no facts that an answer must contain, so right and wrong cannot be counted.',
    };
  }
  const won = judged.filter((s) => s.tunedRight === true && s.baseRight === false).length;
  const lost = judged.filter((s) => s.tunedRight === false && s.baseRight === true).length;
  const p = signTest(won, lost);
  const right = (key: 'baseRight' | 'tunedRight'): number => judged.filter((s) => s[key] === true).length;
  const counts = `Right on ${right('tunedRight')} of ${judged.length} held-out questions, the base on ${right('baseRight')} (p ${formatP(p)}).`;
  const kept = generalKept(measures);
  const general = generalCounts(measures);
  if (p >= SIGNIFICANCE)
    return { verdict: 'not-shown', verdictReason: `${counts} The difference may be chance.${general}` };
  if (lost > won) return { verdict: 'worse', verdictReason: counts + general };
  if (kept !== undefined && kept.tuned < GENERAL_KEPT_MIN * kept.base) {
    return {
      verdict: 'not-shown',
      verdictReason: `${counts}${general} Too much of what the base knew is gone: mix in more general rows.`,
    };
  }
  return { verdict: 'better', verdictReason: counts + general };
}

function generalCounts(measures: Measures): string {
  const kept = generalKept(measures);
  return kept === undefined ? '' : ` General questions: ${kept.tuned} of ${kept.total} right, the base ${kept.base}.`;
}

function generalKept(measures: Measures): { base: number; tuned: number; total: number } | undefined {
  const suite = measures.suites['general'];
  return suite && suite.base.total > 0
    ? { base: suite.base.right, tuned: suite.tuned.right, total: suite.base.total }
    : undefined;
}

function unansweredRows(samples: Measures['samples']): string {
  const left = samples.filter(({ notAnswered }) => notAnswered !== null);
  if (left.length === 0) return '';
  const named = left
    .slice(0, UNANSWERED_NAMED_MAX)
    .map(({ suite, line, notAnswered }) => `line ${line} (${suite}): ${notAnswered ?? ''}`);
  const more = left.length > named.length ? ` And ${left.length - named.length} more.` : '';
  return `Not answered and not counted: ${left.length} of ${samples.length} rows. ${named.join(' ')}${more}`;
}

/** Two-sided probability of a split at least this uneven if either side were equally likely. */
export function signTest(won: number, lost: number): number {
  const n = won + lost;
  if (n === 0) return 1;
  const k = Math.max(won, lost);
  // Each term follows from the one before; logarithms, as 2^-n is no longer a number from n = 1075 on.
  let logTerm = logChoose(n, k) - n * Math.LN2;
  let tail = 0;
  for (let i = k; i <= n; i += 1) {
    tail += Math.exp(logTerm);
    logTerm += Math.log(n - i) - Math.log(i + 1);
  }
  return Math.min(1, 2 * tail);
}

function logChoose(n: number, k: number): number {
  let sum = 0;
  for (let i = 1; i <= k; i += 1) sum += Math.log(n - k + i) - Math.log(i);
  return sum;
}

const formatP = (p: number): string => (p < 0.001 ? '< 0.001' : `= ${p.toFixed(3)}`);
