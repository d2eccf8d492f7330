'use client';
import { buttonClass, Notice } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import Link from 'next/link';
import type { Job } from '../../lib/api/jobs';
import { routes } from '../../lib/routes';
import { useTold } from '../../lib/told/use-told';
import { ClusterWords } from './cluster-words';

/** Why a job ended, what to do, and the changed configuration to start again with. */
export function FailurePanel({ job, error }: { job: Job; error: NonNullable<Job['error']> }) {
  const t = useTranslations('jobs');
  const told = useTold();
  const said = told.failure(job, error);
  const changes = Object.entries(error.change);
  const change = told.change(error.change);
  return (
    <Notice
      tone="bad"
      title={said.title}
      hint={said.hint}
      actions={
        <Link href={routes.newJob({ from: job.id })} className={buttonClass('primary')}>
          {changes.length > 0 ? t('failure.againChanged') : t('again')}
        </Link>
      }
    >
      {changes.length > 0 && (
        <div className="mt-2">
          <p className="text-muted">{t('failure.suggested')}</p>
          {change === null ? (
            <ul className="mt-1 flex flex-wrap gap-2">
              {changes.map(([name, value]) => (
                <li key={name} className="rounded-md bg-raised px-2 py-1 font-mono text-xs">
                  {name} = {value}
                </li>
              ))}
            </ul>
          ) : (
            <p className="font-medium first-letter:uppercase">{change}</p>
          )}
        </div>
      )}
      {said.original !== null && (
        <p lang="en" className="mt-2 text-xs break-words text-muted">
          {told.original(`${said.original} ${error.hint}`)}
        </p>
      )}
      <ClusterWords job={job} />
      <p className="mt-2 font-mono text-xs text-muted">{error.code}</p>
    </Notice>
  );
}
