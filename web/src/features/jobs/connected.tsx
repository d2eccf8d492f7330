'use client';
import { Badge } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import type { Connection } from './use-live-job';

/** Whether what is shown is as new as it can be. */
export function Connected({ connection }: { connection: Connection }) {
  const t = useTranslations('jobs');
  if (connection === 'open') {
    return (
      <Badge tone="accent" live>
        {t('curve.live')}
      </Badge>
    );
  }
  return connection === 'lost' ? <Badge tone="warn">{t('curve.lost')}</Badge> : null;
}
