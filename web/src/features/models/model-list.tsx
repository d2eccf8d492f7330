'use client';
import { Button, buttonClass, Card, EmptyState, Table } from '@luthier/ui';
import type { Column } from '@luthier/ui';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useTranslations } from 'next-intl';
import Link from 'next/link';
import type { ReactNode } from 'react';
import { keys } from '../../lib/api/client';
import { catalogQuery, importModel, modelsQuery } from '../../lib/api/models';
import type { Model } from '../../lib/api/models';
import { ErrorNotice } from '../../lib/error-notice';
import { PageHeader } from '../../lib/page-header';
import { QueryView } from '../../lib/query-view';
import { routes } from '../../lib/routes';
import { useFormat } from '../../lib/use-format';
import { useTold } from '../../lib/told/use-told';
import { ModelBadge } from './model-badge';

export function ModelList() {
  const t = useTranslations('models');
  const models = useQuery(modelsQuery);
  return (
    <>
      <PageHeader title={t('title')} text={t('intro')} />
      <div className="flex flex-col gap-5">
        <Card title={t('tuned')} flush>
          <QueryView query={models}>
            {({ items }) => (
              <ModelTable label={t('tuned')} models={items.filter((m) => m.kind === 'tuned')} empty={<NoTuned />} />
            )}
          </QueryView>
        </Card>
        <Card title={t('base')} flush>
          <QueryView query={models}>
            {({ items }) => (
              <ModelTable
                label={t('base')}
                models={items.filter((m) => m.kind === 'base')}
                empty={<EmptyState title={t('noBase')} text={t('noBaseText')} />}
              />
            )}
          </QueryView>
        </Card>
        {models.data && <Catalog models={models.data.items} />}
      </div>
    </>
  );
}

function NoTuned() {
  const t = useTranslations('models');
  return (
    <EmptyState
      title={t('noTuned')}
      text={t('noTunedText')}
      actions={
        <Link href={routes.newJob()} className={buttonClass('primary')}>
          {t('newJob')}
        </Link>
      }
    />
  );
}

function ModelTable({ label, models, empty }: { label: string; models: readonly Model[]; empty: ReactNode }) {
  const t = useTranslations('models');
  const format = useFormat();
  if (models.length === 0) return empty;
  const columns: Column<Model>[] = [
    {
      key: 'name',
      title: t('column.name'),
      cell: (model) => (
        <>
          <Link href={routes.model(model.id)} className="focus-ring rounded font-medium after:absolute after:inset-0">
            {model.title}
          </Link>
          <span className="block text-xs break-all text-muted">{model.name}</span>
        </>
      ),
    },
    { key: 'state', title: t('column.state'), cell: (model) => <ModelBadge model={model} /> },
    {
      key: 'size',
      title: t('column.parameters'),
      align: 'end',
      wide: true,
      cell: (model) => format.compact(model.shape?.parameters),
    },
    {
      key: 'created',
      title: t('column.created'),
      wide: true,
      className: 'whitespace-nowrap',
      cell: (model) => format.time(model.created_at),
    },
  ];
  return <Table label={label} columns={columns} rows={models} rowKey={(model) => model.id} />;
}

/** Base models that can be brought here, and where each is looked for. */
function Catalog({ models }: { models: readonly Model[] }) {
  const t = useTranslations('models');
  const format = useFormat();
  const told = useTold();
  const queries = useQueryClient();
  const catalog = useQuery(catalogQuery);
  const start = useMutation({
    mutationFn: importModel,
    onSuccess: () => queries.invalidateQueries({ queryKey: keys.models }),
  });
  return (
    <Card title={t('catalog')} flush>
      <QueryView query={catalog}>
        {({ entries }) => (
          <ul>
            {entries.map((entry) => {
              const here = models.find((model) => model.kind === 'base' && model.name === entry.name);
              const busy = here?.state === 'importing' || (start.isPending && start.variables === entry.name);
              return (
                <li
                  key={entry.name}
                  className="flex flex-wrap items-center justify-between gap-x-6 gap-y-2 border-t border-line px-4 py-3 first:border-0 sm:px-5"
                >
                  <div className="min-w-0 text-sm">
                    <p className="font-medium">{entry.title}</p>
                    <p className="text-xs break-words text-muted">
                      {t('parameters', { count: format.compact(entry.parameters) })} · {entry.license} ·{' '}
                      {entry.languages.map(format.language).join(', ')}
                    </p>
                    <p className="text-xs break-words text-muted">
                      {t('sources', { list: entry.sources.map(told.source).join(' → ') })}
                    </p>
                  </div>
                  {here?.state === 'ready' ? (
                    <span className="text-xs text-muted">{t('imported')}</span>
                  ) : (
                    <Button busy={busy} onClick={() => start.mutate(entry.name)}>
                      {t('import')}
                    </Button>
                  )}
                </li>
              );
            })}
          </ul>
        )}
      </QueryView>
      {start.isError && (
        <div className="p-4">
          <ErrorNotice error={start.error} />
        </div>
      )}
    </Card>
  );
}
