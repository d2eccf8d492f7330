'use client';
import { buttonClass, Card, FactList, Notice } from '@luthier/ui';
import type { Fact } from '@luthier/ui';
import { useQuery } from '@tanstack/react-query';
import { Check, X } from 'lucide-react';
import { useTranslations } from 'next-intl';
import Link from 'next/link';
import { evaluationQuery } from '../../lib/api/jobs';
import { modelQuery } from '../../lib/api/models';
import type { Model } from '../../lib/api/models';
import { PageHeader } from '../../lib/page-header';
import { QueryView } from '../../lib/query-view';
import { routes } from '../../lib/routes';
import { useFormat } from '../../lib/use-format';
import { useTold } from '../../lib/told/use-told';
import { ModelBadge } from './model-badge';
import { ModelExport } from './model-export';

export function ModelDetail({ modelId }: { modelId: string }) {
  const query = useQuery(modelQuery(modelId));
  return (
    <QueryView query={query} lines={8}>
      {({ model, base }) => <ModelPage model={model} base={base} />}
    </QueryView>
  );
}

function ModelPage({ model, base }: { model: Model; base: Model | null }) {
  const t = useTranslations('models');
  const told = useTold();
  const error = model.error && told.error(model.error.code, model.error.message, model.error.hint);
  const isTuned = model.kind === 'tuned';
  const actions = model.gives === 'answers' && (
    <>
      <Link href={routes.newJob({ model: model.name })} className={buttonClass(isTuned ? 'secondary' : 'primary')}>
        {t(isTuned ? 'tuneFurther' : 'tune')}
      </Link>
      {isTuned && (
        <Link href={routes.playground({ model: model.id })} className={buttonClass('primary')}>
          {t('try')}
        </Link>
      )}
    </>
  );
  return (
    <>
      <PageHeader
        title={model.title}
        mark={<ModelBadge model={model} />}
        back={{ href: routes.models(), name: t('title') }}
        {...(model.state === 'ready' && actions && { actions })}
      />
      {error && (
        <div className="mb-5">
          <Notice tone="bad" title={error.title} hint={error.hint} />
        </div>
      )}
      <div className="grid gap-5 lg:grid-cols-2 lg:items-start">
        <div className="flex min-w-0 flex-col gap-5">
          {model.kind === 'tuned' && <Proof model={model} />}
          {model.state === 'ready' && <ModelExport model={model} />}
        </div>
        <div className="flex min-w-0 flex-col gap-5">
          <About model={model} base={base} />
          {model.sources_tried.length > 0 && <Sources model={model} />}
        </div>
      </div>
    </>
  );
}

function Proof({ model }: { model: Model }) {
  const t = useTranslations('models');
  const told = useTold();
  const evaluation = useQuery(
    evaluationQuery(model.job_id ?? '', model.job_id !== null && model.proof_reason !== null),
  );
  const reason = evaluation.data ? told.verdict(evaluation.data) : told.proof(model.proof_reason);
  return (
    <Card title={t('proofTitle')}>
      <p className="text-sm leading-relaxed">{reason ?? t('noProof')}</p>
      {model.job_id !== null && (
        <p className="mt-3 text-sm">
          <Link href={routes.job(model.job_id)} className="prose-link focus-ring rounded">
            {t('toJob')}
          </Link>
        </p>
      )}
    </Card>
  );
}

function About({ model, base }: { model: Model; base: Model | null }) {
  const t = useTranslations('models');
  const format = useFormat();
  const told = useTold();
  const { shape } = model;
  const facts: Fact[] = [
    { name: t('fact.name'), value: <span className="break-all">{model.name}</span> },
    { name: t('fact.id'), value: <span className="break-all">{model.id}</span> },
    ...(base
      ? [
          {
            name: t('fact.base'),
            value: (
              <Link href={routes.model(base.id)} className="prose-link focus-ring rounded">
                {base.title}
              </Link>
            ),
          },
        ]
      : []),
    ...(model.source === null ? [] : [{ name: t('fact.source'), value: told.source(model.source) }]),
    ...(model.license === null ? [] : [{ name: t('fact.license'), value: model.license }]),
    ...(model.languages.length > 0
      ? [{ name: t('fact.languages'), value: model.languages.map(format.language).join(', ') }]
      : []),
    ...(shape
      ? [
          { name: t('fact.architecture'), value: shape.architecture },
          { name: t('column.parameters'), value: format.number(shape.parameters) },
          { name: t('fact.layers'), value: format.number(shape.layers) },
          { name: t('fact.context'), value: t('tokens', { count: shape.context_length }) },
          ...(model.files?.form === 'adapter'
            ? []
            : [{ name: t('fact.weights'), value: format.bytes(shape.weight_bytes) }]),
        ]
      : []),
    ...(model.kind === 'tuned' && model.files ? [{ name: t('fact.form'), value: t(`form.${model.files.form}`) }] : []),
    ...(model.size_bytes === null ? [] : [{ name: t('fact.size'), value: format.bytes(model.size_bytes) }]),
    { name: t('column.created'), value: format.time(model.created_at) },
  ];
  return (
    <Card title={t('about')}>
      <FactList facts={facts} />
    </Card>
  );
}

function Sources({ model }: { model: Model }) {
  const t = useTranslations('models');
  const told = useTold();
  return (
    <Card title={t('sourcesTried')}>
      <ol className="flex flex-col gap-3 text-sm">
        {model.sources_tried.map(({ source, ok, message }) => (
          <li key={source} className="flex gap-2.5">
            {ok ? (
              <Check aria-label={t('used')} className="mt-0.5 size-4 shrink-0 text-good" />
            ) : (
              <X aria-label={t('notUsed')} className="mt-0.5 size-4 shrink-0 text-muted" />
            )}
            <span className="min-w-0 break-words">
              {told.source(source)}
              {!ok && <span className="block text-xs leading-relaxed text-muted">{told.sourceFailed(message)}</span>}
            </span>
          </li>
        ))}
      </ol>
    </Card>
  );
}
