'use client';
import { Button, Notice } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import { problemOf } from './problem';

/** A failed call: what happened, what to do, and the number under which it stands in the logs. */
export function ErrorNotice({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const t = useTranslations('errors');
  const { title, hint, requestId } = problemOf(error);
  return (
    <Notice
      tone="bad"
      urgent
      title={title ?? t('unreachable')}
      hint={hint ?? (title === null ? t('unreachableHint') : undefined)}
      {...(onRetry && { actions: <Button onClick={onRetry}>{t('retry')}</Button> })}
    >
      {requestId !== null && <p className="mt-1 text-xs text-muted">{t('requestId', { id: requestId })}</p>}
    </Notice>
  );
}
