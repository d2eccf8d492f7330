'use client';
import { Card, FactList, Stepper } from '@luthier/ui';
import { useQuery } from '@tanstack/react-query';
import { useTranslations } from 'next-intl';
import Link from 'next/link';
import type { Job } from '../../lib/api';
import { jobQuery } from '../../lib/api';
import { PageHeader } from '../../lib/page-header';
import { QueryView } from '../../lib/query-view';
import { routes } from '../../lib/routes';
import { useFormat } from '../../lib/use-format';
import { useTold } from '../../lib/use-told';
import { ClusterWords } from './cluster-words';
import { FailurePanel } from './failure-panel';
import { JobActions } from './job-actions';
import { JobBadge } from './job-badge';
import { JobCurve } from './job-curve';
import { JobHistory } from './job-history';
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
        <div className="grid gap-5 lg:grid-cols-2 lg:items-start">
          {job.plan && (
            <Card title={t('plan.title')}>
              <PlanView plan={job.plan} />
            </Card>
          )}
          <Configuration job={job} />
        </div>
        {job.phase === 'evaluating' && job.status === 'running' && <JobResult job={job} />}
        <JobHistory job={job} live={live} />
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

function Configuration({ job }: { job: Job }) {
  const t = useTranslations('jobs');
  const format = useFormat();
  const { hyperparameters: h, tuning } = job;
  const file = (id: string) => (
    <Link href={routes.file(id)} className="prose-link focus-ring rounded break-all">
      {id}
    </Link>
  );
  const dataset = (id: string) => (
    <Link href={routes.dataset(id)} className="prose-link focus-ring rounded break-all">
      {id}
    </Link>
  );
  const facts = [
    { name: t('config.id'), value: <span className="break-all">{job.id}</span> },
    { name: t('config.model'), value: job.model },
    { name: t('config.trainingFile'), value: file(job.training_file) },
    ...(job.validation_file === null ? [] : [{ name: t('config.heldOutFile'), value: file(job.validation_file) }]),
    ...(job.mix === null
      ? []
      : [
          {
            name: t('config.mix'),
            value: (
              <>
                {file(job.mix.file_id)} · {format.percent(job.mix.share)}
              </>
            ),
          },
        ]),
    ...(job.train_dataset_id === null ? [] : [{ name: t('config.dataset'), value: dataset(job.train_dataset_id) }]),
    { name: t('config.method'), value: t(`method.name.${job.method.type}`) },
    {
      name: t('config.tuning'),
      value:
        tuning.type === 'lora' || tuning.type === 'qlora'
          ? `${tuning.type === 'lora' ? 'LoRA' : 'QLoRA'} · r ${format.number(tuning.r)} · α ${format.number(tuning.lora_alpha, 2)}`
          : t(`tuning.name.${tuning.type}`),
    },
    { name: t('config.epochs'), value: format.number(h.epochs, 2) },
    { name: t('config.batch'), value: t('config.rows', { count: h.global_batch }) },
    { name: t('config.learningRate'), value: `${format.significant(h.learning_rate)} · ${h.schedule}` },
    { name: t('config.cutoff'), value: t('config.tokens', { count: job.cutoff_length }) },
    { name: t('config.priority'), value: t(`priority.${job.priority ?? 'normal'}`) },
    { name: t('config.seed'), value: String(job.seed) },
    { name: t('config.created'), value: format.time(job.created_at) },
    ...(job.finished_at === null ? [] : [{ name: t('config.finished'), value: format.time(job.finished_at) }]),
  ];
  return (
    <Card title={t('config.title')}>
      <FactList facts={facts} />
    </Card>
  );
}
