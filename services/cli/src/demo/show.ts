import type { Schemas } from '@luthier/api-client';
import { PLAN_COMPONENT_NAMES } from '@luthier/contracts';
import { bar } from './stages.js';
import type { Stages } from './stages.js';

const ISSUES_SHOWN = 3;

/** What a validation found, most telling first. */
export function describeReport(what: string, report: Schemas['ValidationReport']): string[] {
  const wrong = report.error_count + report.warning_count;
  const summary = `${what}: ${report.usable_rows} of ${report.rows} rows usable${wrong === 0 ? ', nothing wrong' : `, ${report.error_count} errors and ${report.warning_count} warnings`}`;
  const issues = report.issues
    .slice(0, ISSUES_SHOWN)
    .map(
      (issue) =>
        `  line ${issue.line}${issue.field === null ? '' : `, ${issue.field}`}: ${issue.message} ${issue.hint}`,
    );
  return [summary, ...issues];
}

/** The plan's components as bars. */
export function describePlan(plan: Schemas['Plan']): string[] {
  const widest = Math.max(...plan.components.map((component) => component.mib), 1);
  const rows = plan.components.map(
    ({ name, mib }) =>
      `${PLAN_COMPONENT_NAMES[name].padEnd(21)} ${bar(mib / widest)} ${mib.toFixed(0).padStart(6)} MiB`,
  );
  return [`${plan.message}${plan.memory_mode === null ? '' : ` (${plan.memory_mode})`}`, ...rows];
}

const number = (value: number | null, digits: number): string => (value === null ? '–' : value.toFixed(digits));

/** Base and tuned, one measure a line. */
export function describeScores(evaluation: Schemas['Evaluation']): string[] {
  const { base, tuned } = evaluation;
  const row = (name: string, b: string, t: string): string => `${name.padEnd(24)}${b.padStart(10)}${t.padStart(10)}`;
  const measures = [
    row('', 'base', 'tuned'),
    row('perplexity', number(base?.perplexity ?? null, 2), number(tuned?.perplexity ?? null, 2)),
    row('token accuracy', number(base?.token_accuracy ?? null, 2), number(tuned?.token_accuracy ?? null, 2)),
    row('ROUGE-L', number(base?.rouge_l ?? null, 2), number(tuned?.rouge_l ?? null, 2)),
  ];
  const suites = Object.entries(evaluation.suites).map(([name, { base: b, tuned: t }]) =>
    row(`${name} right`, `${b.right}/${b.total}`, `${t.right}/${t.total}`),
  );
  return [...measures, ...suites, ...(evaluation.verdict_reason === null ? [] : [evaluation.verdict_reason])];
}

/** One answer that the tuned model still gets wrong: a claim without its misses would be half a truth. */
export function showMiss(stages: Stages, evaluation: Schemas['Evaluation']): void {
  const miss = evaluation.samples.find((sample) => sample.tuned_right === false);
  if (!miss) return;
  stages.print(`    one it still gets wrong (${miss.suite}): ${miss.question}`);
  stages.print(`      wanted: ${miss.expected}`);
  stages.print(`      tuned:  ${miss.tuned.replace(/\s+/g, ' ').trim()}`);
}
