'use client';
import { Button, Card, Disclosure, Field, Select, Skeleton, Textarea } from '@luthier/ui';
import { useMutation, useQuery } from '@tanstack/react-query';
import type { UseMutationResult } from '@tanstack/react-query';
import { useTranslations } from 'next-intl';
import { useEffect, useRef, useState } from 'react';
import type { SubmitEvent } from 'react';
import type { Answer } from '../../lib/api/chat';
import type { Model } from '../../lib/api/models';
import { ask } from '../../lib/api/chat';
import { rowsQuery } from '../../lib/api/files';
import { jobQuery } from '../../lib/api/jobs';
import { ErrorNotice } from '../../lib/error-notice';
import { useFormat } from '../../lib/use-format';

type Asking = UseMutationResult<Answer, Error, { model: string; system: string; question: string }>;

/** A call that ends when the reader leaves or asks again. */
function useAsking(): Asking {
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);
  return useMutation({
    mutationFn: ({ model, system, question }: { model: string; system: string; question: string }) => {
      running.current?.abort();
      running.current = new AbortController();
      return ask(model, system, question, running.current.signal);
    },
  });
}

/** The title, which holds the suffix; of several with the same title also the end of the name, which tells them apart. */
function labelOf(model: Model, models: readonly Model[]): string {
  const alone = models.every(({ id, title }) => id === model.id || title !== model.title);
  return alone ? model.title : `${model.title} · ${model.name.split(':').at(-1) ?? model.name}`;
}

export function Comparison({ models, start }: { models: readonly Model[]; start: Model }) {
  const t = useTranslations('playground');
  const [chosenId, setChosenId] = useState(start.id);
  const [question, setQuestion] = useState('');
  const [system, setSystem] = useState('');
  const chosen = models.find((model) => model.id === chosenId) ?? start;
  const base =
    models.find((model) => model.id === chosen.base_model_id) ?? (chosen.kind === 'base' ? chosen : undefined);
  const baseAnswer = useAsking();
  const tunedAnswer = useAsking();
  const examples = useExamples(chosen);
  const busy = baseAnswer.isPending || tunedAnswer.isPending;
  const send = (text: string): void => {
    if (text.trim() === '' || busy) return;
    setQuestion(text);
    if (base) baseAnswer.mutate({ model: base.id, system, question: text.trim() });
    if (chosen.kind === 'tuned') tunedAnswer.mutate({ model: chosen.id, system, question: text.trim() });
  };
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    send(question);
  };
  const change = (modelId: string): void => {
    setChosenId(modelId);
    baseAnswer.reset();
    tunedAnswer.reset();
  };
  return (
    <div className="flex flex-col gap-5">
      <Card>
        <form onSubmit={submit} className="flex flex-col gap-4">
          <Field
            label={t('model')}
            className="max-w-xl"
            {...(chosen.name !== chosen.title && { hint: <span className="break-all">{chosen.name}</span> })}
          >
            {(ids) => (
              <Select {...ids} value={chosen.id} onChange={(event) => change(event.target.value)}>
                {models.map((model) => (
                  <option key={model.id} value={model.id}>
                    {labelOf(model, models)}
                  </option>
                ))}
              </Select>
            )}
          </Field>
          <Field label={t('question')}>
            {(ids) => (
              <Textarea
                {...ids}
                rows={2}
                maxLength={8000}
                value={question}
                placeholder={t('placeholder')}
                onChange={(event) => setQuestion(event.target.value)}
                onKeyDown={(event) => {
                  if (event.key === 'Enter' && (event.metaKey || event.ctrlKey)) send(question);
                }}
              />
            )}
          </Field>
          {examples.length > 0 && (
            <div className="flex flex-wrap items-center gap-2" role="group" aria-label={t('examples')}>
              <span className="text-xs text-muted">{t('examples')}</span>
              {examples.map((example) => (
                <button
                  key={example}
                  type="button"
                  disabled={busy}
                  onClick={() => send(example)}
                  className="focus-ring max-w-full cursor-pointer rounded-full border border-line-strong px-3 py-1 text-left text-xs hover:bg-sunken disabled:opacity-50"
                >
                  {example}
                </button>
              ))}
            </div>
          )}
          <Disclosure title={t('more')}>
            <Field label={t('system')} hint={t('systemHint')}>
              {(ids) => (
                <Textarea {...ids} rows={2} value={system} onChange={(event) => setSystem(event.target.value)} />
              )}
            </Field>
          </Disclosure>
          <div>
            <Button type="submit" tone="primary" busy={busy} disabled={question.trim() === ''}>
              {chosen.kind === 'tuned' ? t('askBoth') : t('ask')}
            </Button>
          </div>
        </form>
      </Card>
      <div className={`grid gap-5 ${chosen.kind === 'tuned' ? 'md:grid-cols-2' : ''}`} aria-live="polite">
        {base && <AnswerCard title={t('base')} model={base} asking={baseAnswer} />}
        {chosen.kind === 'tuned' && <AnswerCard title={t('tuned')} model={chosen} asking={tunedAnswer} />}
      </div>
    </div>
  );
}

/** Questions of the held-out rows (else the training rows) that the model was made with, else general ones. */
function useExamples(model: Model): string[] {
  const t = useTranslations('playground');
  const job = useQuery({ ...jobQuery(model.job_id ?? ''), enabled: model.job_id !== null });
  const fileId = job.data?.validation_file ?? job.data?.training_file ?? null;
  const rows = useQuery({ ...rowsQuery(fileId ?? '', 0, 30), enabled: fileId !== null });
  if (model.job_id !== null && rows.isPending && !rows.isError && !job.isError) return [];
  const questions = (rows.data?.rows ?? [])
    .map((row) => row.messages.findLast((message) => message.role === 'user')?.content ?? '')
    .filter((text) => text !== '' && text.length <= 120);
  const third = Math.max(1, Math.floor(questions.length / 3));
  const spread = [...new Set([questions[0], questions[third], questions[2 * third]])].filter((q) => q !== undefined);
  return spread.length > 0 ? spread : [t('example.capital'), t('example.sky'), t('example.thanks')];
}

function AnswerCard({ title, model, asking }: { title: string; model: Model; asking: Asking }) {
  const t = useTranslations('playground');
  const format = useFormat();
  const { data, error, isPending } = asking;
  return (
    <Card title={title} aside={<span className="truncate text-xs text-muted">{model.title}</span>}>
      {isPending && <Skeleton lines={3} label={t('thinking')} />}
      {!isPending && error && <ErrorNotice error={error} />}
      {!isPending && !error && !data && <p className="py-4 text-sm text-muted">{t('notAsked')}</p>}
      {!isPending && data && (
        <>
          <p className="leading-relaxed break-words whitespace-pre-wrap" data-answer={model.kind}>
            {data.text === '' ? t('emptyAnswer') : data.text}
          </p>
          <p className="mt-3 text-xs text-muted tabular-nums">
            {t('timing', {
              time: format.duration(data.seconds),
              count: data.tokens,
              rate: format.number(data.tokens / Math.max(data.seconds, 0.001), 1),
            })}
          </p>
        </>
      )}
    </Card>
  );
}
