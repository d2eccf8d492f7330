'use client';
import { Card, Figure, FigureRow, LineChart, Progress } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import { useMemo } from 'react';
import type { Job } from '../../lib/api';
import { useFormat } from '../../lib/use-format';
import { isOver, progressShare } from './job-state';
import { Connected } from './connected';
import type { LiveJob } from './live-entries';
import type { Connection } from './use-live-job';

/** The loss as it falls, with what is known of pace, time left and memory. */
export function JobCurve({ job, live, connection }: { job: Job; live: LiveJob; connection: Connection }) {
  const t = useTranslations('jobs');
  const format = useFormat();
  const { curves } = live;
  const series = useMemo(
    () => [
      { name: t('curve.loss'), points: curves['loss'] ?? [] },
      ...(curves['evaluationLoss'] ? [{ name: t('curve.heldOut'), points: curves['evaluationLoss'], dots: true }] : []),
    ],
    [curves, t],
  );
  const formatX = useMemo(() => (value: number) => format.number(value), [format]);
  const formatY = useMemo(() => (value: number) => format.number(value, 2), [format]);
  const count = series[0]?.points.length ?? 0;
  if (count === 0 && isOver(job.status)) return null;
  return (
    <Card title={t('curve.title')} aside={isOver(job.status) ? undefined : <Connected connection={connection} />}>
      <Pace job={job} />
      {count === 0 ? (
        <p className="py-10 text-center text-sm text-muted">{t('curve.notYet')}</p>
      ) : (
        <div className="mt-4" data-points={count}>
          <LineChart
            label={t('curve.label', { count })}
            xName={t('curve.step')}
            series={series}
            formatX={formatX}
            formatY={formatY}
            xEnd={job.progress?.total_steps ?? job.plan?.steps ?? count}
          />
          <p className="mt-1 text-xs text-muted">{t('curve.unit')}</p>
        </div>
      )}
    </Card>
  );
}

function Pace({ job }: { job: Job }) {
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
