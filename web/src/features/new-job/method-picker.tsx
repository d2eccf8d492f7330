'use client';
import { Notice } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import type { Method, OfferedMethod, RowKind } from './job-methods';

export interface MethodPickerProps {
  rows: RowKind;
  offered: readonly OfferedMethod[];
  value: Method | '';
  onChange: (method: Method) => void;
}

/** What the file holds, and the methods that learn from that, each in a sentence. */
export function MethodPicker({ rows, offered, value, onChange }: MethodPickerProps) {
  const t = useTranslations('jobs');
  return (
    <fieldset className="flex min-w-0 flex-col gap-3">
      <legend className="mb-2 text-sm font-medium">{t('method.legend')}</legend>
      <p className="text-sm leading-relaxed text-muted">{t(`method.rows.${rows}`)}</p>
      {offered.map(({ method, usable }) => (
        <label
          key={method}
          className={`flex gap-3 rounded-lg border p-3 text-sm ${
            method === value ? 'border-accent' : 'border-line'
          } ${usable ? 'cursor-pointer' : 'opacity-60'}`}
        >
          <input
            type="radio"
            name="method"
            value={method}
            checked={method === value}
            disabled={!usable}
            onChange={() => onChange(method)}
            className="focus-ring mt-0.5 size-4 shrink-0 accent-accent"
          />
          <span className="min-w-0">
            <span className="font-medium">{t(`method.name.${method}`)}</span>
            <span className="mt-0.5 block text-xs leading-relaxed text-muted">{t(`method.what.${method}`)}</span>
          </span>
        </label>
      ))}
      {offered.some(({ usable }) => !usable) && (
        <Notice tone="warn" title={t('method.noRuntime')} hint={t('method.noRuntimeHint')} />
      )}
    </fieldset>
  );
}
