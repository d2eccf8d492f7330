'use client';
import { Disclosure } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import type { Job } from '../../lib/api/jobs';

/** What the cluster itself said of a run that waits or failed, for whoever runs the cluster. */
export function ClusterWords({ job }: { job: Job }) {
  const t = useTranslations('jobs');
  const excerpt = job.placement?.excerpt ?? null;
  if (excerpt === null || job.status === 'succeeded') return null;
  return (
    <Disclosure title={t('clusterWords')}>
      <pre lang="en" className="max-h-64 overflow-auto font-mono text-xs break-words whitespace-pre-wrap text-muted">
        {excerpt}
      </pre>
    </Disclosure>
  );
}
