'use client';
import { Field, Input, Select } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import { GRADINGS } from './grader-form';
import type { GraderForm, Grading } from './grader-form';

export interface GraderPickerProps {
  /** Those that every row of the file has. */
  fields: readonly string[];
  value: GraderForm;
  /** Why the platform cannot read the formula. */
  formulaFault: string | null;
  onChange: (change: Partial<GraderForm>) => void;
}

/** What makes an answer a good one, in plain words: how it is compared, and with which field of its row. */
export function GraderPicker({ fields, value, formulaFault, onChange }: GraderPickerProps) {
  const t = useTranslations('jobs');
  const gradings: Grading[] = [...GRADINGS, ...(value.keptGrader === '' ? [] : ['kept' as const])];
  return (
    <div className="grid gap-4 sm:grid-cols-2">
      <Field label={t('grader.way')} hint={t(`grader.hint.${value.grading}`)}>
        {(ids) => (
          <Select {...ids} value={value.grading} onChange={(e) => onChange({ grading: e.target.value as Grading })}>
            {gradings.map((grading) => (
              <option key={grading} value={grading}>
                {t(`grader.name.${grading}`)}
              </option>
            ))}
          </Select>
        )}
      </Field>
      {value.grading !== 'kept' && (
        <Field label={t('grader.field')} hint={t('grader.fieldHint')}>
          {(ids) => (
            <Select {...ids} value={value.gradeField} onChange={(e) => onChange({ gradeField: e.target.value })}>
              {fields.map((field) => (
                <option key={field} value={field}>
                  {field}
                </option>
              ))}
            </Select>
          )}
        </Field>
      )}
      {value.grading === 'formula' && (
        <Field
          label={t('grader.formula')}
          hint={t('grader.formulaHint')}
          error={formulaFault === null ? null : t('grader.formulaWrong', { fault: formulaFault })}
          className="sm:col-span-2"
        >
          {(ids) => (
            <Input
              {...ids}
              required
              maxLength={1024}
              spellCheck={false}
              className="font-mono"
              value={value.formula}
              onChange={(e) => onChange({ formula: e.target.value })}
            />
          )}
        </Field>
      )}
    </div>
  );
}
