'use client';
import { Field, Input, Select } from '@luthier/ui';
import { useQuery } from '@tanstack/react-query';
import { useTranslations } from 'next-intl';
import { inventoryQuery } from '../../lib/api/cluster';
import { FEATURE_OF, MODULES, OPTIMIZERS, VARIANTS, isAdapter, isOffered, offeredBits } from './fine-settings';
import type { FineNumber } from './fine-settings';
import type { JobForm } from './job-form-state';
import { useRangeText } from './use-range-text';

const NUMBERS = Object.keys(FEATURE_OF) as FineNumber[];

/** What most leave alone. Only what goes with the other settings, and a runtime here has, is shown. */
export function FineSettingsFields({
  form,
  keepsTuning,
  onChange,
}: {
  form: JobForm;
  keepsTuning: boolean;
  onChange: (change: Partial<JobForm>) => void;
}) {
  const t = useTranslations('jobs');
  const rangeText = useRangeText(form);
  const inventory = useQuery(inventoryQuery);
  const around = { kind: form.tuning, method: form.method || 'supervised', inventory: inventory.data };
  const choices = (
    [
      { field: 'bits', values: form.tuning === 'qlora' && !keepsTuning ? offeredBits(inventory.data) : [] },
      {
        field: 'variant',
        values: isAdapter(form.tuning) && !keepsTuning ? VARIANTS.filter((one) => isOffered(one, around)) : [],
      },
      {
        field: 'modules',
        values: !keepsTuning && isOffered('modules-to-save', around) ? MODULES : [],
      },
      { field: 'optimizer', values: OPTIMIZERS.filter((one) => isOffered(one, around)) },
    ] as const
  ).filter(({ values }) => values.length > 1);
  const numbers = NUMBERS.filter((field) => isOffered(FEATURE_OF[field], around));
  if (choices.length + numbers.length === 0) return null;
  return (
    <div className="grid gap-4 sm:grid-cols-2">
      {choices.map(({ field, values }) => (
        <Field key={field} label={t(`fine.label.${field}`)} hint={t(`fine.hint.${field}`)}>
          {(ids) => (
            <Select {...ids} value={form[field]} onChange={(event) => onChange({ [field]: event.target.value })}>
              {values.map((value) => (
                <option key={value} value={value}>
                  {t(`fine.choice.${value}`)}
                </option>
              ))}
            </Select>
          )}
        </Field>
      ))}
      {numbers.map((field) => (
        <Field key={field} label={t(`fine.label.${field}`)} hint={t(`fine.hint.${field}`)} error={rangeText(field)}>
          {(ids) => (
            <Input
              {...ids}
              inputMode="decimal"
              placeholder={t('fine.off')}
              value={form[field]}
              onChange={(event) => onChange({ [field]: event.target.value })}
            />
          )}
        </Field>
      ))}
    </div>
  );
}
