'use client';
import { Badge, Card, Notice, Progress, Table } from '@luthier/ui';
import type { Column } from '@luthier/ui';
import { useQuery } from '@tanstack/react-query';
import { useTranslations } from 'next-intl';
import type { Evaluation, Job } from '../../lib/api/jobs';
import { evaluationQuery } from '../../lib/api/jobs';
import { isNotFound } from '../../lib/problem';
import { QueryView } from '../../lib/query-view';
import { useFormat } from '../../lib/use-format';
import { useTold } from '../../lib/told/use-told';
import { proofTone } from '../models/proof';
import { Samples } from './samples';

/** Whether the tuned model is better than its base: the verdict, the numbers, and the answers behind them. */
export function JobResult({ job }: { job: Job }) {
  const t = useTranslations('jobs');
  const told = useTold();
  const query = useQuery(evaluationQuery(job.id, true));
  if (isNotFound(query.error)) return <RunScores job={job} />;
  return (
    <QueryView query={query}>
      {(evaluation) => (
        <>
          <Card
            title={t('result.title')}
            aside={<Badge tone={proofTone(evaluation.verdict)}>{t(`proof.${evaluation.verdict}`)}</Badge>}
          >
            {evaluation.verdict_reason !== null && (
              <p className="mb-4 max-w-prose text-sm leading-relaxed">{told.verdict(evaluation)}</p>
            )}
            <EvaluationProgress evaluation={evaluation} />
            <Scores evaluation={evaluation} job={job} />
          </Card>
          {evaluation.samples.length > 0 && <Samples samples={evaluation.samples} />}
        </>
      )}
    </QueryView>
  );
}

function EvaluationProgress({ evaluation }: { evaluation: Evaluation }) {
  const t = useTranslations('jobs');
  const told = useTold();
  const { state, progress, error } = evaluation;
  if (error) {
    const { title, hint } = told.error(error.code, error.message, error.hint);
    return <Notice tone="warn" title={title} hint={hint} />;
  }
  if (state === 'completed') return null;
  return (
    <div className="mb-4 flex flex-col gap-1.5">
      <Progress value={progress.total > 0 ? progress.done / progress.total : 0} label={t('result.evaluating')} />
      <p className="text-xs text-muted tabular-nums">
        {t('result.answered', { done: progress.done, total: progress.total })}
      </p>
    </div>
  );
}

interface Measure {
  name: string;
  /** What it says and which way is better. */
  note: string;
  base: string;
  tuned: string;
  /** Null where nothing can be said. */
  better: boolean | null;
}

/** Null where both are the same. */
const isBetter = (before: number, after: number, lowerIsBetter = false): boolean | null =>
  before === after ? null : after < before === lowerIsBetter;

function useMeasures(): (evaluation: Evaluation) => Measure[] {
  const t = useTranslations('jobs');
  const format = useFormat();
  return ({ base, tuned, suites }) => {
    const row = (
      key: 'perplexity' | 'token_accuracy' | 'rouge_l' | 'fact_accuracy',
      show: (value: number | null | undefined) => string,
      lowerIsBetter = false,
    ): Measure[] => {
      const before = base?.[key] ?? null;
      const after = tuned?.[key] ?? null;
      if (before === null && after === null) return [];
      const better = before === null || after === null ? null : isBetter(before, after, lowerIsBetter);
      return [
        { name: t(`measure.${key}`), note: t(`measureNote.${key}`), base: show(before), tuned: show(after), better },
      ];
    };
    const known = (suite: string): suite is 'facts' | 'general' | 'refusals' =>
      ['facts', 'general', 'refusals'].includes(suite);
    const suiteRows = Object.entries(suites).map(([suite, { base: b, tuned: u }]): Measure => {
      const right = (side: typeof b): string =>
        `${format.percent(side.share)} (${format.number(side.right)}/${format.number(side.total)})`;
      return {
        name: known(suite) ? t(`suite.${suite}`) : suite,
        note: known(suite) ? t(`suiteNote.${suite}`) : t('suiteNote.other'),
        base: right(b),
        tuned: right(u),
        better: isBetter(b.share, u.share),
      };
    });
    return [
      ...row('perplexity', (v) => format.number(v, 2), true),
      ...row('token_accuracy', (v) => format.percent(v, 1)),
      ...row('rouge_l', (v) => format.number(v, 3)),
      ...row('fact_accuracy', (v) => format.percent(v, 1)),
      ...suiteRows,
    ];
  };
}

function Scores({ evaluation, job }: { evaluation: Evaluation; job: Job }) {
  const t = useTranslations('jobs');
  const measures = [...useMeasures()(evaluation), ...useComparisons()(job)];
  if (measures.length === 0) return <p className="text-sm text-muted">{t('result.nothing')}</p>;
  return <MeasureTable measures={measures} />;
}

/** What a method that compares has scored on the held-out rows. */
function useComparisons(): (job: Job) => Measure[] {
  const t = useTranslations('jobs');
  const format = useFormat();
  return ({ result }) => {
    const row = (
      key: 'reward_accuracy' | 'reward_margin' | 'reward_mean',
      name: string,
      show: (value: number) => string,
    ): Measure[] => {
      const [base, tuned] = [result?.base?.metrics?.[name], result?.tuned?.metrics?.[name]];
      if (base === undefined || tuned === undefined) return [];
      const better = base === tuned ? null : tuned > base;
      return [
        { name: t(`measure.${key}`), note: t(`measureNote.${key}`), base: show(base), tuned: show(tuned), better },
      ];
    };
    return [
      ...row('reward_accuracy', 'rewardAccuracy', (value) => format.percent(value, 1)),
      ...row('reward_mean', 'rewardMean', (value) => format.number(value, 3)),
      ...row('reward_margin', 'rewardMargin', (value) => format.number(value, 3)),
    ];
  };
}

function MeasureTable({ measures }: { measures: readonly Measure[] }) {
  const t = useTranslations('jobs');
  const columns: Column<Measure>[] = [
    {
      key: 'name',
      title: t('result.measure'),
      className: 'pl-0! sm:pl-0! max-sm:w-full',
      cell: ({ name, note }) => (
        <>
          <span className="font-medium">{name}</span>
          <span className="block text-xs text-muted">{note}</span>
        </>
      ),
    },
    {
      key: 'base',
      title: t('result.base'),
      align: 'end',
      className: 'whitespace-nowrap max-sm:px-2',
      cell: ({ base }) => base,
    },
    {
      key: 'tuned',
      title: t('result.tuned'),
      align: 'end',
      className: 'pr-0! sm:pr-0! whitespace-nowrap',
      cell: ({ tuned, better }) => (
        <span className={better === null ? '' : better ? 'font-semibold text-good' : 'font-semibold text-bad'}>
          {tuned}
          {better !== null && <span className="sr-only">: {better ? t('result.better') : t('result.worse')}</span>}
        </span>
      ),
    },
  ];
  return <Table label={t('result.title')} columns={columns} rows={measures} rowKey={({ name }) => name} />;
}

/** How well the run's models predict the held-out answers; nothing of a model that gives points. */
function usePredictions(): (job: Job) => Measure[] {
  const t = useTranslations('jobs');
  const format = useFormat();
  return ({ result }) => {
    const row = (
      key: 'perplexity' | 'token_accuracy',
      show: (value: number | undefined) => string,
      lowerIsBetter: boolean,
    ): Measure[] => {
      const [base, tuned] = [result?.base?.[key], result?.tuned?.[key]];
      if (tuned === undefined) return [];
      const better = base === undefined ? null : isBetter(base, tuned, lowerIsBetter);
      return [
        { name: t(`measure.${key}`), note: t(`measureNote.${key}`), base: show(base), tuned: show(tuned), better },
      ];
    };
    return [
      ...row('perplexity', (value) => format.number(value, 2), true),
      ...row('token_accuracy', (value) => format.percent(value, 1), false),
    ];
  };
}

/** Without an evaluation there is still what the run itself scored on the held-out rows. */
function RunScores({ job }: { job: Job }) {
  const t = useTranslations('jobs');
  const comparisons = useComparisons()(job);
  const predictions = usePredictions()(job);
  const told = useTold();
  const why = /unproven: (.+)$/.exec(job.message)?.[1];
  const tuned = job.result?.tuned ?? null;
  return (
    <Card title={t('result.title')} aside={<Badge>{t('proof.unproven')}</Badge>}>
      {tuned !== null && why !== undefined && (
        <p className="mb-4 max-w-prose text-sm leading-relaxed">{told.proof(why)}</p>
      )}
      {tuned === null ? (
        <p className="text-sm text-muted">{t('result.nothing')}</p>
      ) : (
        <MeasureTable measures={[...predictions, ...comparisons]} />
      )}
    </Card>
  );
}
