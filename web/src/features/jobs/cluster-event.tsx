'use client';
import { Disclosure } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import type { JobEvent } from '../../lib/api/jobs';
import { clusterWord } from '../../lib/told/told';
import { useTold } from '../../lib/told/use-told';

/** What the cluster's word is about; its own words where something is wrong, or where there is no sentence of ours. */
export function ClusterEvent({ event }: { event: Pick<JobEvent, 'level' | 'data'> }) {
  const t = useTranslations('jobs');
  const told = useTold();
  const word = clusterWord(event.data);
  if (word === null) return null;
  const { excerpt, what } = word;
  return (
    <span className="block text-xs text-muted">
      {told.clusterObject(word)}
      {excerpt !== null && (event.level !== 'info' || what === null) && (
        <Disclosure title={<span className="text-xs">{t('clusterWords')}</span>}>
          <span lang="en" className="block max-h-48 overflow-auto font-mono whitespace-pre-wrap">
            {excerpt}
          </span>
        </Disclosure>
      )}
    </span>
  );
}
