'use client';
import { useTranslations } from 'next-intl';
import { useFormat } from '../../lib/use-format';
import type { JobForm, RANGES } from './job-form-state';
import { wrongFields } from './job-form-state';

/** What is wrong with a field that holds no number or one out of its range. */
export function useRangeText(form: JobForm): (field: keyof typeof RANGES) => string | null {
  const t = useTranslations('jobs');
  const format = useFormat();
  const wrong = wrongFields(form);
  return (field) => {
    const range = wrong[field];
    if (!range) return null;
    const limits = { min: format.significant(range.min), max: format.number(range.max) };
    return range.whole ? t('form.rangeWhole', limits) : t('form.range', limits);
  };
}
