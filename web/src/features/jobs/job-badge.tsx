'use client';
import { Badge } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import type { Job } from '../../lib/api/jobs';
import { statusTone } from './job-state';

export function JobBadge({ status }: { status: Job['status'] }) {
  const t = useTranslations('jobs');
  return (
    <Badge tone={statusTone(status)} live={status === 'running' || status === 'validating_files'}>
      {t(`status.${status}`)}
    </Badge>
  );
}
