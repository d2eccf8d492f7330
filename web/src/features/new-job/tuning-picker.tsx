'use client';
import { Notice } from '@luthier/ui';
import { useQuery } from '@tanstack/react-query';
import { useTranslations } from 'next-intl';
import { inventoryQuery } from '../../lib/api/cluster';
import { TUNING_KINDS, isUsable } from './tuning-kinds';
import type { TuningKind } from './tuning-kinds';

/** What of the model is trained, each in a sentence. What it takes of memory is shown by the plan. */
export function TuningPicker({ value, onChange }: { value: TuningKind; onChange: (kind: TuningKind) => void }) {
  const t = useTranslations('jobs');
  const inventory = useQuery(inventoryQuery);
  const kinds = TUNING_KINDS.map((kind) => ({ kind, usable: isUsable(kind, inventory.data) }));
  return (
    <fieldset className="flex min-w-0 flex-col gap-3">
      <legend className="mb-2 text-sm font-medium">{t('tuning.legend')}</legend>
      {kinds.map(({ kind, usable }) => (
        <label
          key={kind}
          className={`flex gap-3 rounded-lg border p-3 text-sm ${
            kind === value ? 'border-accent' : 'border-line'
          } ${usable ? 'cursor-pointer' : 'opacity-60'}`}
        >
          <input
            type="radio"
            name="tuning"
            value={kind}
            checked={kind === value}
            disabled={!usable}
            onChange={() => onChange(kind)}
            className="focus-ring mt-0.5 size-4 shrink-0 accent-accent"
          />
          <span className="min-w-0">
            <span className="font-medium">{t(`tuning.name.${kind}`)}</span>
            <span className="mt-0.5 block text-xs leading-relaxed text-muted">{t(`tuning.what.${kind}`)}</span>
          </span>
        </label>
      ))}
      {kinds.some(({ usable }) => !usable) && (
        <Notice tone="warn" title={t('tuning.noRuntime')} hint={t('tuning.noRuntimeHint')} />
      )}
    </fieldset>
  );
}
