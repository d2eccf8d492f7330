'use client';
import { Button, EmptyState } from '@luthier/ui';
import { useTranslations } from 'next-intl';

/** A fault of the dashboard itself; what went wrong inside stays in the logs. */
export default function PageError({ reset }: { error: Error; reset: () => void }) {
  const t = useTranslations('errors');
  return (
    <main className="mx-auto max-w-xl py-20">
      <EmptyState
        title={t('page')}
        text={t('pageText')}
        actions={
          <Button tone="primary" onClick={reset}>
            {t('retry')}
          </Button>
        }
      />
    </main>
  );
}
