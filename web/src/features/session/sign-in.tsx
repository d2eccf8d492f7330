'use client';
import { Button, Field, Input } from '@luthier/ui';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useTranslations } from 'next-intl';
import { useRouter } from 'next/navigation';
import { useState } from 'react';
import type { SubmitEvent } from 'react';
import { keys } from '../../lib/api/client';
import { signIn } from '../../lib/api/session';
import { problemOf } from '../../lib/problem';
import { safeNext } from '../../lib/routes';
import { LanguageSwitch } from './language-switch';
import { Wordmark } from './wordmark';

/** The key goes to the platform once and comes back as a cookie that scripts cannot read. */
export function SignIn() {
  const t = useTranslations('session');
  const c = useTranslations('common');
  const router = useRouter();
  const queries = useQueryClient();
  const [key, setKey] = useState('');
  const attempt = useMutation({
    mutationFn: signIn,
    onSuccess: async (session) => {
      queries.setQueryData(keys.session, session);
      router.replace(safeNext(new URLSearchParams(window.location.search).get('next')));
    },
  });
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    if (key.trim() !== '') attempt.mutate(key.trim());
  };
  return (
    <div className="flex min-h-dvh flex-col">
      <div className="flex items-center justify-between px-4 py-2.5 sm:px-6">
        <Wordmark name={c('product')} />
        <LanguageSwitch />
      </div>
      <main className="mx-auto flex w-full max-w-md grow flex-col justify-center px-4 pb-24">
        <h1 className="text-2xl font-semibold tracking-tight">{t('title')}</h1>
        <p className="mt-2 leading-relaxed text-muted">{c('claim')}</p>
        <form onSubmit={submit} className="mt-6 flex flex-col gap-4 rounded-xl border border-line bg-raised p-5">
          <Field label={t('key')} error={attempt.isError ? errorText(attempt.error, t('unreachable')) : null}>
            {(ids) => (
              <Input
                {...ids}
                type="password"
                name="key"
                autoComplete="current-password"
                autoFocus
                required
                spellCheck={false}
                placeholder="lk-…"
                value={key}
                onChange={(event) => setKey(event.target.value)}
              />
            )}
          </Field>
          <Button type="submit" tone="primary" busy={attempt.isPending}>
            {t('submit')}
          </Button>
        </form>
        <section aria-labelledby="where" className="mt-6 text-sm leading-relaxed text-muted">
          <h2 id="where" className="font-medium text-ink">
            {t('where')}
          </h2>
          <ul className="mt-1.5 list-disc space-y-1 pl-5">
            <li>{t('wherePrinted')}</li>
            <li>{t('whereFile')}</li>
          </ul>
        </section>
      </main>
    </div>
  );
}

function errorText(error: unknown, unreachable: string): string {
  const { title, hint } = problemOf(error);
  return title === null ? unreachable : [title, hint].filter((part) => part !== null && part !== '').join('. ');
}
