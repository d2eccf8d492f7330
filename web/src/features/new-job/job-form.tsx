'use client';
import { Button, Card, Disclosure, Field, Input, Notice, Select } from '@luthier/ui';
import { keepPreviousData, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useTranslations } from 'next-intl';
import { useRouter } from 'next/navigation';
import { useDeferredValue, useMemo, useState } from 'react';
import type { SubmitEvent } from 'react';
import { keys } from '../../lib/api/client';
import { hasClusterQuery, inventoryQuery } from '../../lib/api/cluster';
import { validationQuery } from '../../lib/api/files';
import { createJob, planQuery } from '../../lib/api/jobs';
import { ErrorNotice } from '../../lib/error-notice';
import { faultOf } from '../../lib/problem';
import { QueryView } from '../../lib/query-view';
import { routes } from '../../lib/routes';
import { useTold } from '../../lib/told/use-told';
import { FilePicker } from './file-picker';
import { offeredBits } from './fine-settings';
import { GraderPicker } from './grader-picker';
import { JobSettings } from './job-settings';
import type { JobForm } from './job-form-state';
import { PRIORITIES, jobBody, namesPlace, withChange, withoutName } from './job-form-state';
import { JobPlace } from './job-place';
import { chosenMethod, methodsFor } from './job-methods';
import { KeepKnowledge } from './keep-knowledge';
import { MethodPicker } from './method-picker';
import { ModelPicker } from './model-picker';
import type { ChosenModel } from './model-picker';
import { PlanView } from '../jobs/plan-view';

/** Asks for model and data, shows what is wrong with the data and what the run will need, and only then starts. */
export function JobFormView({ start, settingsOpen = false }: { start: JobForm; settingsOpen?: boolean }) {
  const t = useTranslations('jobs');
  const told = useTold();
  const router = useRouter();
  const queries = useQueryClient();
  const [wanted, setForm] = useState(start);
  const [chosen, setChosen] = useState<ChosenModel>({ ready: false, isAdapter: false });
  const set = (change: Partial<JobForm>): void => setForm((before) => ({ ...before, ...change }));

  const cluster = useQuery(hasClusterQuery);
  const inventory = useQuery(inventoryQuery);
  const training = useQuery(validationQuery(wanted.trainingFile, wanted.trainingFile !== ''));
  const usable = training.data?.state === 'done' && training.data.usable_rows > 0;
  const rows = usable ? (training.data?.row_kind ?? null) : null;
  const offered = useMemo(() => (rows === null ? [] : methodsFor(rows, inventory.data)), [rows, inventory.data]);
  const fields = useMemo(() => training.data?.item_fields ?? [], [training.data]);
  const form = useMemo(
    () => ({
      ...wanted,
      method: chosenMethod(wanted.method, offered),
      bits: offeredBits(inventory.data).includes(wanted.bits) ? wanted.bits : ('8' as const),
      gradeField: fields.includes(wanted.gradeField) ? wanted.gradeField : (fields[0] ?? ''),
    }),
    [wanted, offered, fields, inventory.data],
  );
  const { ready: modelReady, isAdapter: keepsTuning } = chosen;
  const body = useMemo(() => jobBody(form, { keepsTuning }), [form, keepsTuning]);
  const toPlan = useMemo(
    () => (body !== null && usable && modelReady ? withoutName(body) : null),
    [body, usable, modelReady],
  );
  const planned = useDeferredValue(toPlan);
  const plan = useQuery({ ...planQuery(planned), placeholderData: keepPreviousData });
  const fault = faultOf(plan.error, '.calculate_output');
  const formulaFault = fault === null ? null : told.formulaFault(fault);
  const submit = useMutation({
    mutationFn: createJob,
    onSuccess: async (job) => {
      await queries.invalidateQueries({ queryKey: keys.jobs });
      router.push(routes.job(job.id));
    },
  });
  const fits = plan.data !== undefined && !plan.isPlaceholderData && plan.data.verdict !== 'can-never-fit';
  // The deferred one lags behind, also where nothing of the plan has changed.
  const upToDate = planned !== null && JSON.stringify(planned) === JSON.stringify(toPlan);
  const ready = body !== null && upToDate && fits;
  const send = (event: SubmitEvent): void => {
    event.preventDefault();
    if (ready && !submit.isPending) submit.mutate(body);
  };
  return (
    <form onSubmit={send} className="grid gap-5 lg:grid-cols-[minmax(0,1fr)_minmax(0,26rem)] lg:items-start">
      <div className="flex min-w-0 flex-col gap-5">
        <Card title={t('form.model')}>
          <ModelPicker value={form.model} onChange={(model) => set({ model })} onChosen={setChosen} />
        </Card>
        <Card title={t('form.data')}>
          <div className="flex flex-col gap-5">
            <FilePicker
              label={t('form.trainingFile')}
              hint={t('form.trainingFileHint')}
              value={form.trainingFile}
              onChange={(trainingFile) => set({ trainingFile })}
            />
            {rows !== null && (
              <MethodPicker rows={rows} offered={offered} value={form.method} onChange={(method) => set({ method })} />
            )}
            {form.method === 'grpo' && (
              <GraderPicker fields={fields} value={form} formulaFault={formulaFault} onChange={set} />
            )}
            <FilePicker
              label={t('form.heldOutFile')}
              hint={t('form.heldOutFileHint')}
              optional
              value={form.heldOutFile}
              onChange={(heldOutFile) => set({ heldOutFile })}
            />
          </div>
        </Card>
        <KeepKnowledge form={form} onChange={set} />
        <Card title={t('form.settings')}>
          <Field label={t('form.suffix')} hint={t('form.suffixHint')}>
            {(ids) => (
              <Input {...ids} maxLength={64} value={form.suffix} onChange={(e) => set({ suffix: e.target.value })} />
            )}
          </Field>
          <div className="mt-5">
            <Field label={t('form.priority')} hint={t('form.priorityHint')}>
              {(ids) => (
                <Select
                  {...ids}
                  value={form.priority}
                  onChange={(e) => set({ priority: e.target.value as JobForm['priority'] })}
                >
                  {PRIORITIES.map((priority) => (
                    <option key={priority} value={priority}>
                      {t(`priority.${priority}`)}
                    </option>
                  ))}
                </Select>
              )}
            </Field>
          </div>
          <div className="mt-5">
            <Disclosure title={t('form.more')} defaultOpen={settingsOpen}>
              <JobSettings form={form} keepsTuning={keepsTuning} onChange={set} />
            </Disclosure>
          </div>
          {cluster.data === true && (
            <div className="mt-5">
              <Disclosure title={t('form.place')} defaultOpen={namesPlace(form)}>
                <JobPlace form={form} onChange={set} />
              </Disclosure>
            </div>
          )}
        </Card>
      </div>
      <div className="flex min-w-0 flex-col gap-4 lg:sticky lg:top-6">
        <Card title={t('plan.title')}>
          {planned === null || formulaFault !== null ? (
            <p className="text-sm leading-relaxed text-muted">{t(planned === null ? 'plan.waiting' : 'plan.mend')}</p>
          ) : (
            <QueryView query={plan}>
              {(data) => (
                <div aria-busy={plan.isPlaceholderData} className="transition-opacity aria-busy:opacity-50">
                  <PlanView plan={data} onApply={(change) => setForm((f) => withChange(f, change))} />
                </div>
              )}
            </QueryView>
          )}
        </Card>
        {training.data?.state === 'done' && !usable && (
          <Notice tone="bad" title={t('form.noRows')} hint={t('form.noRowsHint')} />
        )}
        {submit.isError && <ErrorNotice error={submit.error} />}
        <Button type="submit" tone="primary" disabled={!ready} busy={submit.isPending}>
          {t('form.start')}
        </Button>
        <p className="text-xs leading-relaxed text-muted">{t('form.promise')}</p>
      </div>
    </form>
  );
}
