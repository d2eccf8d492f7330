'use client';
import { Badge } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import type { Dataset } from '../../lib/api/datasets';
import type { FileObject } from '../../lib/api/files';

const FILE_TONES = { uploaded: 'accent', processed: 'good', error: 'bad' } as const;
const DATASET_TONES = { preparing: 'accent', ready: 'good', failed: 'bad' } as const;

export function FileBadge({ status }: { status: FileObject['status'] }) {
  const t = useTranslations('files');
  return (
    <Badge tone={FILE_TONES[status]} live={status === 'uploaded'}>
      {t(`fileStatus.${status}`)}
    </Badge>
  );
}

export function DatasetBadge({ state }: { state: Dataset['state'] }) {
  const t = useTranslations('files');
  return (
    <Badge tone={DATASET_TONES[state]} live={state === 'preparing'}>
      {t(`datasetState.${state}`)}
    </Badge>
  );
}
