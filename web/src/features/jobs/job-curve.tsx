'use client';
import { Card, Figure, FigureRow, LineChart, Progress } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import { useMemo } from 'react';
import type { Job } from '../../lib/api/jobs';
import { useFormat } from '../../lib/use-format';
import { isOver, progressShare } from './job-state';
import { Connected } from './connected';
import type { LiveJob } from './live-entries';
import type { Connection } from './use-live-job';

/** The loss as it falls, or the reward of GRPO as it rises; of a method that compares, how often the chosen answers gain more; with pace and memory. */
export function JobCurve({ job, live, connection }: { job: Job; live: LiveJob; connection: Connection }) {
  const t = useTranslations('jobs');
  const { curves } = live;
  const { rewardMean, evaluationRewardMean } = curves;
  const count = curves['loss']?.length ?? 0;
  const ofTokens = job.method.type === 'supervised' || job.method.type === 'pretrain';
  if (count === 0 && isOver(job.status)) return null;
  return (
    <Card title={t('curve.title')} aside={isOver(job.status) ? undefined : <Connected connection={connection} />}>
      <Pace job={job} margin={curves['rewardMargin']?.at(-1)?.[1]} />
      {count === 0 ? (
        <p className="text-sm text-muted">{t('curve.notYet')}</p>
      ) : (
        <div data-points={count}>
          {rewardMean ? (
            <Curve
              job={job}
              label={t('reward.label', { count })}
              unit={t('reward.unit')}
              named={[t('reward.name'), rewardMean]}
              heldOut={[t('comparison.heldOut'), evaluationRewardMean]}
            />
          ) : (
            <Curve
              job={job}
              label={t('curve.label', { count })}
              unit={ofTokens ? t('curve.unit') : t('curve.unitOfMethod')}
              named={[t('curve.loss'), curves['loss']]}
              heldOut={[t('curve.heldOut'), curves['evaluationLoss']]}
            />
          )}
        </div>
      )}
      <Comparison job={job} curves={curves} />
    </Card>
  );
}

/** Of a method that compares: how often the chosen answer of a pair gains more, or how far rated answers come apart. */
function Comparison({ job, curves }: { job: Job; curves: LiveJob['curves'] }) {
  const t = useTranslations('jobs');
  const { rewardAccuracy, evaluationRewardAccuracy, rewardMargin, evaluationRewardMargin } = curves;
  const points = rewardAccuracy ?? rewardMargin;
  if (!points) return null;
  const what = rewardAccuracy ? 'share' : 'margin';
  return (
    <>
      <h3 className="mt-6 text-sm font-medium">{t(`comparison.${what}.title`)}</h3>
      <Curve
        job={job}
        label={t(`comparison.${what}.label`, { count: points.length })}
        unit={t(`comparison.${what}.unit`)}
        named={[t(`comparison.${what}.name`), points]}
        heldOut={[t('comparison.heldOut'), rewardAccuracy ? evaluationRewardAccuracy : evaluationRewardMargin]}
      />
    </>
  );
}

type Named = readonly [name: string, points: LiveJob['curves'][string] | undefined];

interface CurveProps {
  job: Job;
  label: string;
  unit: string;
  named: Named;
  /** Drawn as dots, where there is any. */
  heldOut: Named;
}

function Curve({ job, label, unit, named: [name, points = []], heldOut: [heldOutName, heldOutPoints] }: CurveProps) {
  const t = useTranslations('jobs');
  const format = useFormat();
  const series = useMemo(
    () => [{ name, points }, ...(heldOutPoints ? [{ name: heldOutName, points: heldOutPoints, dots: true }] : [])],
    [name, points, heldOutName, heldOutPoints],
  );
  const formatX = useMemo(() => (value: number) => format.number(value), [format]);
  const formatY = useMemo(() => (value: number) => format.number(value, 2), [format]);
  return (
    <div className="mt-4">
      <LineChart
        label={label}
        xName={t('curve.step')}
        series={series}
        formatX={formatX}
        formatY={formatY}
        xEnd={job.progress?.total_steps ?? job.plan?.steps ?? points.length}
      />
      <p className="mt-1 text-xs text-muted">{unit}</p>
    </div>
  );
}

function Pace({ job, margin }: { job: Job; margin: number | undefined }) {
  const t = useTranslations('jobs');
  const format = useFormat();
  const { progress, result } = job;
  if (!progress) return null;
  const share = progressShare(job);
  return (
    <div className="flex flex-col gap-4">
      {share !== null && !isOver(job.status) && <Progress value={share} label={t('column.progress')} />}
      <FigureRow>
        <Figure
          name={t('curve.step')}
          value={format.number(progress.step)}
          note={t('plan.of', { amount: format.number(progress.total_steps) })}
        />
        <Figure name={t('curve.loss')} value={format.number(progress.loss, 3)} />
        {margin !== undefined && <Figure name={t('curve.margin')} value={format.number(margin, 3)} />}
        <Figure
          name={t('curve.speed')}
          value={format.number(result?.tokens_per_second ?? progress.tokens_per_second)}
          note={t('curve.tokensPerSecond')}
        />
        {!isOver(job.status) && <Figure name={t('curve.timeLeft')} value={format.duration(progress.seconds_left)} />}
        <Figure name={t('curve.memory')} value={format.mib(result?.peak_memory_mib ?? progress.memory_mib)} />
      </FigureRow>
    </div>
  );
}
