'use client';
import { Button, Field, Notice, Select } from '@luthier/ui';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useTranslations } from 'next-intl';
import { useEffect } from 'react';
import { keys } from '../../lib/api/client';
import { catalogQuery, importModel, modelsQuery } from '../../lib/api/models';
import { ErrorNotice } from '../../lib/error-notice';
import { useFormat } from '../../lib/use-format';
import { useTold } from '../../lib/told/use-told';

export interface ModelPickerProps {
  value: string;
  onChange: (model: string) => void;
  /** Told whether the chosen model is here and can be planned with, and whether it is an adapter, which keeps its form. */
  onChosen: (chosen: ChosenModel) => void;
}

export interface ChosenModel {
  readonly ready: boolean;
  readonly isAdapter: boolean;
}

/** A model that is here, from elsewhere or tuned before, or one of the catalogue, which is imported first. */
export function ModelPicker({ value, onChange, onChosen }: ModelPickerProps) {
  const t = useTranslations('jobs');
  const format = useFormat();
  const told = useTold();
  const models = useQuery(modelsQuery);
  const catalog = useQuery(catalogQuery);
  const queries = useQueryClient();
  const importing = useMutation({
    mutationFn: importModel,
    onSuccess: () => queries.invalidateQueries({ queryKey: keys.models }),
  });
  const here = models.data?.items ?? [];
  const bases = here.filter((model) => model.kind === 'base');
  const tuned = here.filter((model) => model.kind === 'tuned' && model.state === 'ready' && model.gives === 'answers');
  const chosen = [...bases, ...tuned].find((model) => model.name === value || model.id === value);
  const offered = (catalog.data?.entries ?? []).filter((entry) => !bases.some((base) => base.name === entry.name));
  const ready = chosen?.state === 'ready';
  const isAdapter = chosen?.files?.form === 'adapter';
  useEffect(() => onChosen({ ready, isAdapter }), [onChosen, ready, isAdapter]);
  const fault = chosen?.error ? told.error(chosen.error.code, chosen.error.message, chosen.error.hint) : null;
  const failure = models.error ?? catalog.error;
  return (
    <div className="flex flex-col gap-3">
      <Field label={t('form.baseModel')} hint={t('form.baseModelHint')}>
        {(ids) => (
          <Select {...ids} value={chosen?.name ?? value} onChange={(event) => onChange(event.target.value)}>
            <option value="">{t('form.chooseModel')}</option>
            {bases.length > 0 && (
              <optgroup label={t('form.here')}>
                {bases.map((model) => (
                  <option key={model.id} value={model.name}>
                    {model.shape ? `${model.title} · ${format.compact(model.shape.parameters)}` : model.title}
                  </option>
                ))}
              </optgroup>
            )}
            {tuned.length > 0 && (
              <optgroup label={t('form.tunedHere')}>
                {tuned.map((model) => (
                  <option key={model.id} value={model.name}>
                    {`${model.title} · ${model.name.split(':').at(-1) ?? ''}`}
                  </option>
                ))}
              </optgroup>
            )}
            {offered.length > 0 && (
              <optgroup label={t('form.inCatalog')}>
                {offered.map((entry) => (
                  <option key={entry.name} value={entry.name}>
                    {`${entry.title} · ${format.compact(entry.parameters)}`}
                  </option>
                ))}
              </optgroup>
            )}
          </Select>
        )}
      </Field>
      {failure !== null && <ErrorNotice error={failure} />}
      {chosen?.state === 'importing' && <Notice title={t('form.importing', { model: chosen.title })} />}
      {chosen?.state === 'failed' && (
        <Notice
          tone="bad"
          title={fault?.title ?? t('form.importFailed')}
          hint={fault?.hint}
          actions={<Button onClick={() => importing.mutate(chosen.name)}>{t('form.importAgain')}</Button>}
        />
      )}
      {value !== '' && !chosen && models.data && (
        <Notice
          title={t('form.notHere')}
          hint={t('form.notHereHint')}
          actions={
            <Button busy={importing.isPending} onClick={() => importing.mutate(value)}>
              {t('form.import')}
            </Button>
          }
        />
      )}
      {importing.isError && <ErrorNotice error={importing.error} />}
    </div>
  );
}
