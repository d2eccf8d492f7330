'use client';
import { Field, Input } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import type { JobForm } from './job-form-state';
import { useRangeText } from './use-range-text';

/** On how much of a cluster, and in whose queue; whoever leaves it open gets one GPU. */
export function JobPlace({ form, onChange }: { form: JobForm; onChange: (change: Partial<JobForm>) => void }) {
  const t = useTranslations('jobs');
  const rangeText = useRangeText(form);
  const fieldOf = (name: 'nodes' | 'devicesPerNode' | 'deviceType' | 'queue', error: string | null = null) => (
    <Field label={t(`place.${name}`)} hint={t(`placeHint.${name}`)} error={error}>
      {(ids) => (
        <Input
          {...ids}
          {...(name === 'nodes' || name === 'devicesPerNode' ? { inputMode: 'numeric' } : { maxLength: 63 })}
          placeholder={t('form.advised')}
          value={form[name]}
          onChange={(event) => onChange({ [name]: event.target.value })}
        />
      )}
    </Field>
  );
  return (
    <div className="grid gap-4 sm:grid-cols-2">
      {fieldOf('nodes', rangeText('nodes'))}
      {fieldOf('devicesPerNode', rangeText('devicesPerNode'))}
      {fieldOf('deviceType')}
      {fieldOf('queue')}
    </div>
  );
}
