'use client';
import { Skeleton } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import type { ReactNode } from 'react';
import { ErrorNotice } from './error-notice';

interface QueryLike<Data> {
  data: Data | undefined;
  error: unknown;
  refetch: () => unknown;
}

/** Shows what a query has: its data, else its error, else grey lines. Data once shown stays when a refresh fails. */
export function QueryView<Data>({
  query,
  lines = 4,
  children,
}: {
  query: QueryLike<Data>;
  lines?: number;
  children: (data: Data) => ReactNode;
}) {
  const t = useTranslations('common');
  if (query.data !== undefined) return children(query.data);
  if (query.error !== null && query.error !== undefined) {
    return (
      <div className="p-4">
        <ErrorNotice error={query.error} onRetry={() => void query.refetch()} />
      </div>
    );
  }
  return (
    <div className="p-4">
      <Skeleton lines={lines} label={t('loading')} />
    </div>
  );
}
