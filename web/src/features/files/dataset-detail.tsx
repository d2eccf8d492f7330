'use client';
import { Card, Figure, FigureRow, Notice, Table } from '@luthier/ui';
import { useQuery } from '@tanstack/react-query';
import { useTranslations } from 'next-intl';
import Link from 'next/link';
import { datasetQuery } from '../../lib/api/datasets';
import type { Dataset } from '../../lib/api/datasets';
import { PageHeader } from '../../lib/page-header';
import { QueryView } from '../../lib/query-view';
import { routes } from '../../lib/routes';
import { useFormat } from '../../lib/use-format';
import { useTold } from '../../lib/told/use-told';
import { DatasetBadge } from './state-badges';

/** What preparation made of the files: rows, tokens, and what was cut or left out. */
export function DatasetDetail({ datasetId }: { datasetId: string }) {
  const query = useQuery(datasetQuery(datasetId));
  return (
    <QueryView query={query} lines={8}>
      {(dataset) => <DatasetPage dataset={dataset} />}
    </QueryView>
  );
}

function DatasetPage({ dataset }: { dataset: Dataset }) {
  const t = useTranslations('files');
  const format = useFormat();
  const told = useTold();
  const error = dataset.error && told.error(dataset.error.code, dataset.error.message, dataset.error.hint);
  return (
    <>
      <PageHeader
        title={t(`role.${dataset.role}`)}
        mark={<DatasetBadge state={dataset.state} />}
        back={{ href: routes.files(), name: t('title') }}
        text={t('datasetText')}
      />
      <div className="flex flex-col gap-5">
        {error && <Notice tone="bad" title={error.title} hint={error.hint} />}
        <Card title={t('numbers')}>
          <FigureRow>
            <Figure name={t('column.rows')} value={format.number(dataset.rows)} />
            <Figure name={t('column.tokens')} value={format.number(dataset.tokens)} />
            <Figure
              name={t('trained')}
              value={format.number(dataset.trained_tokens)}
              note={dataset.tokens > 0 ? format.percent(dataset.trained_tokens / dataset.tokens) : undefined}
            />
            <Figure name={t('longest')} value={format.number(dataset.longest_row_tokens)} note={t('tokensUnit')} />
            <Figure name={t('cutoff')} value={format.number(dataset.cutoff_length)} note={t('tokensUnit')} />
          </FigureRow>
        </Card>
        <Card title={t('sources')} flush>
          <Table
            label={t('sources')}
            rows={dataset.sources}
            rowKey={(source) => source.file_id}
            columns={[
              {
                key: 'file',
                title: t('column.name'),
                cell: (source) => (
                  <Link href={routes.file(source.file_id)} className="prose-link focus-ring rounded break-all">
                    {source.filename}
                  </Link>
                ),
              },
              { key: 'rows', title: t('column.rows'), align: 'end', cell: (s) => format.number(s.rows) },
              { key: 'used', title: t('column.used'), align: 'end', cell: (s) => format.number(s.used_rows) },
              { key: 'cut', title: t('column.cut'), align: 'end', cell: (s) => format.number(s.cut_rows) },
              { key: 'dropped', title: t('column.dropped'), align: 'end', cell: (s) => format.number(s.dropped_rows) },
            ]}
          />
        </Card>
      </div>
    </>
  );
}
