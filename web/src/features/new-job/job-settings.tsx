'use client';
import { Field, Input, Notice, Select } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import { FineSettingsFields } from './fine-settings-fields';
import { REHEARSALS } from './job-form-state';
import type { JobForm } from './job-form-state';
import { SETTINGS_OF_METHOD } from './method-settings';
import { TuningPicker } from './tuning-picker';
import { useRangeText } from './use-range-text';

const FIELDS = ['epochs', 'learningRate', 'batchSize', 'cutoffLength', 'seed'] as const;
const OF_ADAPTERS = ['rank', 'alpha'] as const;
const FIELDS_OF_TUNING = { lora: OF_ADAPTERS, qlora: OF_ADAPTERS, full: [], freeze: ['trainableLayers'] } as const;

/** Settings that are advised; whoever knows better writes a number. */
export function JobSettings({
  form,
  keepsTuning,
  onChange,
}: {
  form: JobForm;
  /** It starts from an adapter, which keeps its form. */
  keepsTuning: boolean;
  onChange: (change: Partial<JobForm>) => void;
}) {
  const t = useTranslations('jobs');
  const rangeText = useRangeText(form);
  const ofTuning = keepsTuning ? [] : FIELDS_OF_TUNING[form.tuning];
  const fields = [...SETTINGS_OF_METHOD[form.method || 'supervised'], ...ofTuning, ...FIELDS];
  return (
    <div className="flex flex-col gap-5">
      {keepsTuning ? (
        <Notice title={t('tuning.kept')} hint={t('tuning.keptHint')} />
      ) : (
        <TuningPicker value={form.tuning} onChange={(tuning) => onChange({ tuning })} />
      )}
      <div className="grid gap-4 sm:grid-cols-2">
        {fields.map((field) => (
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
        <Field label={t('rehearsal.label')} hint={t('rehearsal.hint')}>
          {(ids) => (
            <Select
              {...ids}
              value={form.rehearsal}
              onChange={(event) => onChange({ rehearsal: event.target.value as JobForm['rehearsal'] })}
            >
              {REHEARSALS.map((choice) => (
                <option key={choice} value={choice}>
                  {t(`rehearsal.choice.${choice}`)}
                </option>
              ))}
            </Select>
          )}
        </Field>
      </div>
      <FineSettingsFields form={form} keepsTuning={keepsTuning} onChange={onChange} />
    </div>
  );
}
