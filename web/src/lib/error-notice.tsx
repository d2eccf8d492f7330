'use client';
import { Button, Notice } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import { problemOf } from './problem';
import { useTold } from './told/use-told';

/** A failed call: what happened, what to do, and the number under which it stands in the logs. */
export function ErrorNotice({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const t = useTranslations('errors');
  const told = useTold();
  const { title, hint, code, requestId, obstacle } = problemOf(error);
  const said = title === null ? null : told.refusal({ code, message: title, hint }, obstacle);
  return (
    <Notice
      tone="bad"
      urgent
      title={said?.title ?? t('unreachable')}
      hint={said === null ? t('unreachableHint') : said.hint || undefined}
      {...(onRetry && { actions: <Button onClick={onRetry}>{t('retry')}</Button> })}
    >
      {said !== null && said.original !== null && (
        <p lang="en" className="mt-1 text-xs break-words text-muted">
          {told.original(said.original)}
        </p>
      )}
      {requestId !== null && <p className="mt-1 text-xs text-muted">{t('requestId', { id: requestId })}</p>}
    </Notice>
  );
}
