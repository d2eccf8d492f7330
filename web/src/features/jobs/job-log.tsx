'use client';
import { Card, Disclosure } from '@luthier/ui';
import { useQuery } from '@tanstack/react-query';
import { useTranslations } from 'next-intl';
import { useEffect, useRef } from 'react';
import type { Job } from '../../lib/api';
import { jobLogQuery } from '../../lib/api';
import { isNotFound } from '../../lib/problem';
import { QueryView } from '../../lib/query-view';
import { isOver } from './job-state';

/** What the run wrote, as it wrote it; asked for only by whoever opens it. */
export function JobLog({ job }: { job: Job }) {
  const t = useTranslations('jobs');
  return (
    <Card>
      <Disclosure title={t('log.show')}>
        <LogText job={job} />
      </Disclosure>
    </Card>
  );
}

function LogText({ job }: { job: Job }) {
  const t = useTranslations('jobs');
  const box = useRef<HTMLPreElement>(null);
  const query = useQuery(jobLogQuery(job.id, !isOver(job.status)));
  const text = query.data?.text ?? '';
  useEffect(() => {
    // The end is what one looks for.
    box.current?.scrollTo({ top: box.current.scrollHeight });
  }, [text]);
  const none = <p className="text-sm text-muted">{t('log.none')}</p>;
  if (isNotFound(query.error)) return none;
  return (
    <QueryView query={query} lines={3}>
      {({ truncated }) =>
        text === '' ? (
          none
        ) : (
          <>
            {truncated && <p className="mb-2 text-xs text-muted">{t('log.end')}</p>}
            <pre
              ref={box}
              tabIndex={0}
              lang="en"
              aria-label={t('log.label')}
              className="focus-ring max-h-96 overflow-auto rounded-lg bg-sunken p-3 font-mono text-xs leading-relaxed break-words whitespace-pre-wrap"
            >
              {text}
            </pre>
          </>
        )
      }
    </QueryView>
  );
}
