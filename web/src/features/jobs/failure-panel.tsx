'use client';
import { buttonClass, Notice } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import Link from 'next/link';
import type { Job } from '../../lib/api';
import { routes } from '../../lib/routes';

/** Why a job ended, what to do, and the changed configuration to start again with. */
export function FailurePanel({ job, error }: { job: Job; error: NonNullable<Job['error']> }) {
  const t = useTranslations('jobs');
  const changes = Object.entries(error.change);
  return (
    <Notice
      tone="bad"
      title={error.message}
      hint={error.hint}
      actions={
        <Link href={routes.newJob({ from: job.id })} className={buttonClass()}>
          {changes.length > 0 ? t('failure.againChanged') : t('again')}
        </Link>
      }
    >
      {changes.length > 0 && (
        <div className="mt-2">
          <p className="text-muted">{t('failure.suggested')}</p>
          <ul className="mt-1 flex flex-wrap gap-2">
            {changes.map(([name, value]) => (
              <li key={name} className="rounded-md bg-raised px-2 py-1 font-mono text-xs">
                {name} = {value}
              </li>
            ))}
          </ul>
        </div>
      )}
      <p className="mt-2 font-mono text-xs text-muted">{error.code}</p>
    </Notice>
  );
}
