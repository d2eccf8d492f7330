'use client';
import { Field, Input } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import { useFormat } from '../../lib/use-format';
import { FilePicker } from './file-picker';
import type { JobForm } from './job-form-state';
import { RANGES, wrongFields } from './job-form-state';

const FIELDS = ['epochs', 'learningRate', 'batchSize', 'cutoffLength', 'rank', 'alpha', 'seed'] as const;

/** Settings that are advised; whoever knows better writes a number. */
export function JobSettings({ form, onChange }: { form: JobForm; onChange: (change: Partial<JobForm>) => void }) {
  const t = useTranslations('jobs');
  const format = useFormat();
  const wrong = wrongFields(form);
  const rangeText = (field: keyof typeof RANGES): string | null => {
    const range = wrong[field];
    if (!range) return null;
    return t(range.whole ? 'form.rangeWhole' : 'form.range', {
      min: format.significant(range.min),
      max: format.number(range.max),
    });
  };
  return (
    <div className="flex flex-col gap-5">
      <div className="grid gap-4 sm:grid-cols-2">
        {FIELDS.map((field) => (
          <Field key={field} label={t(`setting.${field}`)} hint={t(`settingHint.${field}`)} error={rangeText(field)}>
            {(ids) => (
              <Input
                {...ids}
                inputMode="decimal"
                placeholder={t('form.advised')}
                value={form[field]}
                onChange={(event) => onChange({ [field]: event.target.value })}
              />
            )}
          </Field>
        ))}
      </div>
      <FilePicker
        label={t('form.mixFile')}
        hint={t('form.mixFileHint')}
        optional
        value={form.mixFile}
        onChange={(mixFile) => onChange({ mixFile })}
      />
      {form.mixFile !== '' && (
        <Field label={t('form.mixPercent')} error={rangeText('mixPercent')} className="max-w-48">
          {(ids) => (
            <Input
              {...ids}
              inputMode="decimal"
              value={form.mixPercent}
              onChange={(event) => onChange({ mixPercent: event.target.value })}
            />
          )}
        </Field>
      )}
      <FilePicker
        label={t('form.generalFile')}
        hint={t('form.generalFileHint')}
        optional
        value={form.generalFile}
        onChange={(generalFile) => onChange({ generalFile })}
      />
    </div>
  );
}
