'use client';
import { useLocale } from 'next-intl';
import { useMemo } from 'react';
import * as format from './format';

/** The formats of `format.ts` in the reader's language. */
export function useFormat() {
  const locale = useLocale();
  return useMemo(
    () => ({
      number: (value: number | null | undefined, digits?: number) => format.formatNumber(value, locale, digits),
      significant: (value: number | null | undefined) => format.formatSignificant(value, locale),
      compact: (value: number | null | undefined) => format.formatCompact(value, locale),
      percent: (value: number | null | undefined, digits?: number) => format.formatPercent(value, locale, digits),
      mib: (value: number | null | undefined) => format.formatMib(value, locale),
      bytes: (value: number | null | undefined) => format.formatBytes(value, locale),
      duration: (seconds: number | null | undefined) => format.formatDuration(seconds, locale),
      language: (code: string) => format.formatLanguage(code, locale),
      time: (time: string | number | null | undefined) => format.formatTime(time, locale),
    }),
    [locale],
  );
}
