'use client';
import { Notice } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import type { Job } from '../../lib/api/jobs';
import { useTold } from '../../lib/told/use-told';
import { isInTrouble } from './job-state';
import { RestartRun } from './restart-run';

/** A run whose node is lost or that makes no progress: what is known of it, and the way on that need not be waited for. */
export function RunTrouble({ job, fromStep }: { job: Job; fromStep: number }) {
  const t = useTranslations('jobs');
  const told = useTold();
  if (!job.placement || !isInTrouble(job)) return null;
  return (
    <Notice
      tone="warn"
      title={told.run(job.placement)}
      hint={t('trouble.hint')}
      actions={<RestartRun job={job} fromStep={fromStep} urged />}
    />
  );
}
