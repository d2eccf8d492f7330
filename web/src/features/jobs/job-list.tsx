'use client';
import { buttonClass, Card, EmptyState, Progress, Table } from '@luthier/ui';
import type { Column } from '@luthier/ui';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useTranslations } from 'next-intl';
import Link from 'next/link';
import type { Job } from '../../lib/api/jobs';
import { jobsQuery } from '../../lib/api/jobs';
import { MoreRows } from '../../lib/more-rows';
import { PageHeader } from '../../lib/page-header';
import { QueryView } from '../../lib/query-view';
import { routes } from '../../lib/routes';
import { useFormat } from '../../lib/use-format';
import { useTold } from '../../lib/told/use-told';
import { JobBadge } from './job-badge';
import { isOver, progressShare } from './job-state';

export function JobList() {
  const t = useTranslations('jobs');
  const query = useInfiniteQuery(jobsQuery);
  const newJob = (
    <Link href={routes.newJob()} className={buttonClass('primary')}>
      {t('new')}
    </Link>
  );
  return (
    <>
      <PageHeader title={t('title')} text={t('intro')} actions={newJob} />
      <Card flush>
        <QueryView query={query}>
          {({ pages }) => {
            const jobs = pages.flatMap((page) => page.items);
            if (jobs.length === 0) return <NoJobs />;
            return <JobTable jobs={jobs} />;
          }}
        </QueryView>
        <MoreRows query={query} />
      </Card>
    </>
  );
}

function NoJobs() {
  const t = useTranslations('jobs');
  return (
    <EmptyState
      title={t('emptyTitle')}
      text={t('emptyText')}
      actions={
        <>
          <Link href={routes.newJob()} className={buttonClass('primary')}>
            {t('new')}
          </Link>
          <Link href={routes.files()} className={buttonClass()}>
            {t('checkFile')}
          </Link>
        </>
      }
    />
  );
}

function JobTable({ jobs }: { jobs: readonly Job[] }) {
  const t = useTranslations('jobs');
  const format = useFormat();
  const columns: Column<Job>[] = [
    {
      key: 'name',
      title: t('column.job'),
      className: 'min-w-44',
      cell: (job) => (
        <>
          <Link href={routes.job(job.id)} className="focus-ring rounded font-medium after:absolute after:inset-0">
            {job.suffix ?? job.model}
          </Link>
          <span className="block text-xs break-all text-muted">{job.suffix === null ? job.id : job.model}</span>
          <span className="mt-1 block text-xs text-muted md:hidden">{format.time(job.created_at)}</span>
        </>
      ),
    },
    {
      key: 'status',
      title: t('column.status'),
      cell: (job) => (
        <>
          <JobBadge status={job.status} />
          {job.priority !== undefined && job.priority !== 'normal' && !isOver(job.status) && (
            <span className="mt-1 block text-xs text-muted">{t(`urgency.${job.priority}`)}</span>
          )}
        </>
      ),
    },
    { key: 'progress', title: t('column.progress'), wide: true, className: 'w-72', cell: (job) => <Where job={job} /> },
    {
      key: 'created',
      title: t('column.created'),
      wide: true,
      className: 'whitespace-nowrap',
      cell: (job) => format.time(job.created_at),
    },
  ];
  return <Table label={t('title')} columns={columns} rows={jobs} rowKey={(job) => job.id} />;
}

function Where({ job }: { job: Job }) {
  const t = useTranslations('jobs');
  const format = useFormat();
  const told = useTold();
  const share = progressShare(job);
  if (job.status === 'failed') return <span className="line-clamp-2 text-muted">{told.job(job)}</span>;
  if (isOver(job.status) || share === null || !job.progress) return <span className="text-muted">{told.job(job)}</span>;
  return (
    <div className="flex flex-col gap-1.5">
      <Progress value={share} label={t('column.progress')} />
      <span className="text-xs text-muted tabular-nums">
        {t('stepOf', { step: format.number(job.progress.step), total: format.number(job.progress.total_steps) })}
        {job.progress.seconds_left !== null && ` · ${t('left', { time: format.duration(job.progress.seconds_left) })}`}
      </span>
    </div>
  );
}
