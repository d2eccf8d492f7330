'use client';
import { Card, Table } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import { useInfiniteQuery } from '@tanstack/react-query';
import type { Job, JobEvent } from '../../lib/api/jobs';
import { checkpointsQuery, eventsQuery } from '../../lib/api/jobs';
import { MoreRows } from '../../lib/more-rows';
import { useFormat } from '../../lib/use-format';
import { useTold } from '../../lib/told/use-told';
import { ClusterEvent } from './cluster-event';
import { isOver } from './job-state';
import type { LiveJob } from './live-entries';

const LEVELS: Record<JobEvent['level'], string> = { info: 'bg-line-strong', warn: 'bg-warn', error: 'bg-bad' };

/** What happened, newest first. */
export function JobEvents({ job, live }: { job: Job; live: LiveJob }) {
  const t = useTranslations('jobs');
  const format = useFormat();
  const told = useTold();
  // The stream keeps a bounded past; what is over is read whole.
  const stored = useInfiniteQuery(eventsQuery(job.id, isOver(job.status)));
  const events = stored.data?.pages.flatMap((page) => page.data) ?? live.events;
  return (
    <Card title={t('history.events')}>
      {events.length === 0 ? (
        <p className="text-sm text-muted">{t('history.noEvents')}</p>
      ) : (
        <ol
          className="focus-ring relative flex max-h-96 flex-col gap-2.5 overflow-y-auto text-sm"
          tabIndex={0}
          aria-label={t('history.events')}
        >
          {events.map((event) => (
            <li key={event.id} className="flex gap-3">
              <span aria-hidden="true" className={`mt-[7px] size-1.5 shrink-0 rounded-full ${LEVELS[event.level]}`} />
              <span className="min-w-0 grow break-words">
                {event.level !== 'info' && <span className="sr-only">{t(`level.${event.level}`)}: </span>}
                {told.event(event)}
                <ClusterEvent event={event} />
                <span className="block text-xs text-muted">{format.time(event.created_at)}</span>
              </span>
            </li>
          ))}
        </ol>
      )}
      <MoreRows query={stored} />
    </Card>
  );
}

/** From which steps it can go on. */
export function JobCheckpoints({ job, live }: { job: Job; live: LiveJob }) {
  const t = useTranslations('jobs');
  const format = useFormat();
  const stored = useInfiniteQuery(checkpointsQuery(job.id, isOver(job.status)));
  const checkpoints: readonly { id: string; step: number; created_at: number | string }[] =
    stored.data?.pages.flatMap((page) =>
      page.data.map(({ id, step_number: step, created_at }) => ({ id, step, created_at })),
    ) ?? live.checkpoints;
  return (
    <Card title={t('history.checkpoints')} flush={checkpoints.length > 0}>
      {checkpoints.length === 0 ? (
        <p className="text-sm text-muted">{t('history.noCheckpoints')}</p>
      ) : (
        <div
          className="focus-ring max-h-80 overflow-y-auto"
          tabIndex={0}
          role="group"
          aria-label={t('history.checkpoints')}
        >
          <Table
            label={t('history.checkpoints')}
            rows={checkpoints}
            rowKey={(checkpoint) => checkpoint.id}
            columns={[
              { key: 'step', title: t('curve.step'), cell: (checkpoint) => format.number(checkpoint.step) },
              { key: 'time', title: t('column.created'), cell: (checkpoint) => format.time(checkpoint.created_at) },
            ]}
          />
        </div>
      )}
      <MoreRows query={stored} />
    </Card>
  );
}

/** How often it was begun and why each attempt ended, where there was more than one. */
export function JobAttempts({ job }: { job: Job }) {
  const t = useTranslations('jobs');
  const told = useTold();
  if (job.attempts.length < 2) return null;
  return (
    <Card title={t('history.attempts')}>
      <ol className="flex flex-col gap-2 text-sm">
        {job.attempts.map((attempt) => (
          <li key={attempt.attempt}>
            <span className="font-medium">{t('history.attempt', { number: attempt.attempt })}</span>{' '}
            <span className="break-words text-muted">{told.error(attempt.code, attempt.message, null).title}</span>
            {attempt.resumed_from_step !== null && (
              <span className="block text-xs text-muted">
                {t('history.resumed', { step: attempt.resumed_from_step })}
              </span>
            )}
          </li>
        ))}
      </ol>
    </Card>
  );
}
