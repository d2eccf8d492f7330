'use client';
import { Card, Field, Input } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import { FilePicker } from './file-picker';
import type { JobForm } from './job-form-state';
import { RANGES } from './job-form-state';
import { useRangeText } from './use-range-text';

/** Against forgetting: general rows among the examples, and general questions that show what was forgotten. */
export function KeepKnowledge({ form, onChange }: { form: JobForm; onChange: (change: Partial<JobForm>) => void }) {
  const t = useTranslations('jobs');
  const rangeText = useRangeText(form);
  const { min, max } = RANGES.mixPercent;
  return (
    <Card title={t('form.keep')}>
      <p className="mb-4 text-sm leading-relaxed text-muted">{t('form.keepWhy')}</p>
      <div className="flex flex-col gap-5">
        <FilePicker
          label={t('form.mixFile')}
          hint={t('form.mixFileHint')}
          optional
          value={form.mixFile}
          onChange={(mixFile) => onChange({ mixFile })}
        />
        {form.mixFile !== '' && (
          <Field
            label={t('form.mixPercent')}
            hint={t('form.mixPercentHint')}
            error={rangeText('mixPercent')}
            className="max-w-64"
          >
            {(ids) => (
              <Input
                {...ids}
                type="number"
                min={min}
                max={max}
                step="any"
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
    </Card>
  );
}
