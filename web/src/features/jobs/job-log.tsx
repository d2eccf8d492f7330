'use client';
import { Card, Disclosure } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import { useEffect, useRef } from 'react';
import type { Job } from '../../lib/api/jobs';
import { Connected } from './connected';
import { useLiveLog } from './use-live-log';

/** What the run wrote, as it wrote it; followed only while somebody has it open. */
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

/** So near to the end, in pixels, one is reading the end. */
const NEAR_END = 40;

function LogText({ job }: { job: Job }) {
  const t = useTranslations('jobs');
  const box = useRef<HTMLPreElement>(null);
  const atEnd = useRef(true);
  const { text, truncated, connection } = useLiveLog(job.id);
  useEffect(() => {
    // The end is what one looks for; whoever has gone back to read is left alone.
    if (atEnd.current) box.current?.scrollTo({ top: box.current.scrollHeight });
  }, [text]);
  const notes = (
    <p className="mb-2 flex items-center justify-between gap-2 text-xs text-muted">
      <span>{truncated ? t('log.end') : ''}</span>
      <Connected connection={connection} />
    </p>
  );
  if (text === '') {
    return (
      <>
        {notes}
        <p className="text-sm text-muted">{t('log.none')}</p>
      </>
    );
  }
  return (
    <>
      {notes}
      <pre
        ref={box}
        tabIndex={0}
        lang="en"
        aria-label={t('log.label')}
        onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
          atEnd.current = scrollHeight - scrollTop - clientHeight < NEAR_END;
        }}
        className="focus-ring max-h-96 overflow-auto rounded-lg bg-sunken p-3 font-mono text-xs leading-relaxed break-words whitespace-pre-wrap"
      >
        {text}
      </pre>
    </>
  );
}
