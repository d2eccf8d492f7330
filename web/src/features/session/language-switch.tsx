'use client';
import { useLocale, useTranslations } from 'next-intl';
import { useRouter } from 'next/navigation';
import { useTransition } from 'react';
import type { Locale } from '../../lib/locales';
import { LOCALE_COOKIE } from '../../lib/locales';

const YEAR_SECONDS = 365 * 24 * 3600;

/** The other language, under its own name. The page stays as it is; only its words change. */
export function LanguageSwitch() {
  const t = useTranslations('session');
  const router = useRouter();
  const [pending, startTransition] = useTransition();
  const other: Locale = useLocale() === 'zh' ? 'en' : 'zh';
  const change = (): void => {
    document.cookie = `${LOCALE_COOKIE}=${other}; path=/; max-age=${YEAR_SECONDS}; samesite=lax`;
    startTransition(() => router.refresh());
  };
  return (
    <button
      type="button"
      onClick={change}
      disabled={pending}
      lang={other === 'zh' ? 'zh-CN' : 'en'}
      aria-label={t('switchLanguage')}
      className="focus-ring min-h-9 cursor-pointer rounded-lg px-2.5 text-sm whitespace-nowrap text-muted hover:bg-sunken hover:text-ink"
    >
      {other === 'zh' ? '中文' : 'English'}
    </button>
  );
}
