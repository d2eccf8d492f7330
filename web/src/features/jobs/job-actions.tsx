'use client';
import { Button, buttonClass, ConfirmDialog } from '@luthier/ui';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useTranslations } from 'next-intl';
import Link from 'next/link';
import type { Job } from '../../lib/api/jobs';
import { keys } from '../../lib/api/client';
import { cancelJob, pauseJob, resumeJob } from '../../lib/api/jobs';
import { ErrorNotice } from '../../lib/error-notice';
import { routes } from '../../lib/routes';
import { canPause, canRestart, isInTrouble, isOver } from './job-state';
import { RestartRun } from './restart-run';

/** What can be done with a job where it stands. */
export function JobActions({ job, newestStep }: { job: Job; newestStep: number }) {
  const t = useTranslations('jobs');
  if (job.status === 'succeeded' && job.tuned_model_id !== null) {
    return (
      <Link href={routes.playground({ model: job.tuned_model_id })} className={buttonClass('primary')}>
        {t('try')}
      </Link>
    );
  }
  if (isOver(job.status)) {
    return (
      <Link href={routes.newJob({ from: job.id })} className={buttonClass()}>
        {t('again')}
      </Link>
    );
  }
  return <Control job={job} newestStep={newestStep} />;
}

function Control({ job, newestStep }: { job: Job; newestStep: number }) {
  const t = useTranslations('jobs');
  const queries = useQueryClient();
  const onSettled = () => queries.invalidateQueries({ queryKey: keys.jobs });
  const cancel = useMutation({ mutationFn: () => cancelJob(job.id), onSettled });
  const pause = useMutation({ mutationFn: () => pauseJob(job.id), onSettled });
  const resume = useMutation({ mutationFn: () => resumeJob(job.id), onSettled });
  const error = cancel.error ?? pause.error ?? resume.error;
  return (
    <div className="flex flex-col items-end gap-2">
      <div className="flex flex-wrap gap-2">
        {job.status === 'paused' && (
          <Button tone="primary" busy={resume.isPending} onClick={() => resume.mutate()}>
            {t('resume')}
          </Button>
        )}
        {canPause(job) && (
          <Button busy={pause.isPending} onClick={() => pause.mutate()}>
            {t('pause')}
          </Button>
        )}
        {canRestart(job) && !isInTrouble(job) && <RestartRun job={job} fromStep={newestStep} />}
        <ConfirmDialog
          trigger={
            <Button tone="danger" busy={cancel.isPending}>
              {t('cancel.action')}
            </Button>
          }
          title={t('cancel.title')}
          text={t('cancel.text')}
          confirm={t('cancel.confirm')}
          dismiss={t('cancel.keep')}
          onConfirm={() => cancel.mutate()}
        />
      </div>
      {error !== null && <ErrorNotice error={error} />}
    </div>
  );
}
