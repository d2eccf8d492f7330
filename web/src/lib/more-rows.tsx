'use client';
import { Button } from '@luthier/ui';
import { useTranslations } from 'next-intl';

interface PagedQuery {
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  fetchNextPage: () => unknown;
}

/** Below a list that has more pages: fetches the next one. */
export function MoreRows({ query }: { query: PagedQuery }) {
  const t = useTranslations('common');
  if (!query.hasNextPage) return null;
  return (
    <div className="flex justify-center border-t border-line p-3">
      <Button busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
        {t('more')}
      </Button>
    </div>
  );
}
