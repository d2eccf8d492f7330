'use client';
import { Card, Stepper } from '@luthier/ui';
import { useQuery } from '@tanstack/react-query';
import { useTranslations } from 'next-intl';
import type { Job } from '../../lib/api/jobs';
import { jobQuery } from '../../lib/api/jobs';
import { PageHeader } from '../../lib/page-header';
import { QueryView } from '../../lib/query-view';
import { routes } from '../../lib/routes';
import { useTold } from '../../lib/told/use-told';
import { ClusterWords } from './cluster-words';
import { FailurePanel } from './failure-panel';
import { JobActions } from './job-actions';
import { JobBadge } from './job-badge';
import { JobConfiguration } from './job-configuration';
import { JobCurve } from './job-curve';
import { JobAttempts, JobCheckpoints, JobEvents } from './job-history';
import { JobLog } from './job-log';
import { JobResult } from './job-result';
import { stageStates } from './job-state';
import { PlanView } from './plan-view';
import { RunTrouble } from './run-trouble';
import { useLiveJob } from './use-live-job';

export function JobDetail({ jobId }: { jobId: string }) {
  const query = useQuery(jobQuery(jobId));
  return (
    <QueryView query={query} lines={8}>
      {(job) => <JobPage job={job} />}
    </QueryView>
  );
}

function JobPage({ job }: { job: Job }) {
  const t = useTranslations('jobs');
  const told = useTold();
  const live = useLiveJob(job.id);
  const newestStep = live.checkpoints[0]?.step ?? 0;
  return (
    <>
      <PageHeader
        title={job.suffix ?? job.model}
        mark={<JobBadge status={job.status} />}
        back={{ href: routes.jobs(), name: t('title') }}
        text={told.job(job)}
        actions={<JobActions job={job} newestStep={newestStep} />}
      />
      <div className="flex flex-col gap-5">
        <Stages job={job} />
        <RunTrouble job={job} fromStep={newestStep} />
        {job.error ? <FailurePanel job={job} error={job.error} /> : <ClusterWords job={job} />}
        {job.status === 'succeeded' && <JobResult job={job} />}
        <JobCurve job={job} live={live} connection={live.connection} />
        {job.phase === 'evaluating' && job.status === 'running' && <JobResult job={job} />}
        <div className="grid gap-5 lg:grid-cols-2 lg:items-start">
          <div className="flex min-w-0 flex-col gap-5">
            {job.plan && (
              <Card title={t('plan.title')}>
                <PlanView plan={job.plan} />
              </Card>
            )}
            <JobEvents job={job} live={live} />
          </div>
          <div className="flex min-w-0 flex-col gap-5">
            <JobConfiguration job={job} />
            <JobCheckpoints job={job} live={live} />
            <JobAttempts job={job} />
          </div>
        </div>
        <JobLog job={job} />
      </div>
    </>
  );
}

function Stages({ job }: { job: Job }) {
  const t = useTranslations('jobs');
  const steps = stageStates(job).map(({ stage, state }) => ({
    name: t(`stage.${stage}`),
    state,
    stateText: t(`stepState.${state}`),
  }));
  return (
    <Card>
      <Stepper label={t('stages')} steps={steps} />
    </Card>
  );
}
