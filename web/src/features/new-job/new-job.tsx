'use client';
import { Skeleton } from '@luthier/ui';
import { useQuery } from '@tanstack/react-query';
import { useTranslations } from 'next-intl';
import { useSearchParams } from 'next/navigation';
import { jobQuery } from '../../lib/api/jobs';
import { ErrorNotice } from '../../lib/error-notice';
import { PageHeader } from '../../lib/page-header';
import { routes } from '../../lib/routes';
import { EMPTY_FORM, formOf, withChange } from './job-form-state';
import { JobFormView } from './job-form';

/** A new job: empty, with a model or file already chosen, or like an earlier job with what was proposed for it. */
export function NewJob() {
  const t = useTranslations('jobs');
  const search = useSearchParams();
  const from = search.get('from');
  return (
    <>
      <PageHeader title={t('new')} text={t('newIntro')} back={{ href: routes.jobs(), name: t('title') }} />
      {from === null ? (
        <JobFormView
          start={{ ...EMPTY_FORM, model: search.get('model') ?? '', trainingFile: search.get('file') ?? '' }}
        />
      ) : (
        <Again jobId={from} />
      )}
    </>
  );
}

function Again({ jobId }: { jobId: string }) {
  const c = useTranslations('common');
  const job = useQuery(jobQuery(jobId));
  if (job.data) return <JobFormView start={withChange(formOf(job.data), job.data.error?.change ?? {})} settingsOpen />;
  if (job.error) return <ErrorNotice error={job.error} onRetry={() => void job.refetch()} />;
  return <Skeleton label={c('loading')} />;
}
