'use client';
import { Button, Card, EmptyState, Table } from '@luthier/ui';
import type { Column } from '@luthier/ui';
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query';
import { useTranslations } from 'next-intl';
import Link from 'next/link';
import { useRouter } from 'next/navigation';
import { useRef } from 'react';
import type { Dataset } from '../../lib/api/datasets';
import type { FileObject } from '../../lib/api/files';
import { keys } from '../../lib/api/client';
import { datasetsQuery } from '../../lib/api/datasets';
import { filesQuery, uploadTrainingFile } from '../../lib/api/files';
import { ErrorNotice } from '../../lib/error-notice';
import { PageHeader } from '../../lib/page-header';
import { MoreRows } from '../../lib/more-rows';
import { QueryView } from '../../lib/query-view';
import { routes } from '../../lib/routes';
import { useFormat } from '../../lib/use-format';
import { DatasetBadge, FileBadge } from './state-badges';

export function FileList() {
  const t = useTranslations('files');
  const router = useRouter();
  const queries = useQueryClient();
  const chooser = useRef<HTMLInputElement>(null);
  const files = useInfiniteQuery(filesQuery);
  const upload = useMutation({
    mutationFn: uploadTrainingFile,
    onSuccess: async (file) => {
      await queries.invalidateQueries({ queryKey: keys.files });
      router.push(routes.file(file.id));
    },
  });
  const choose = (
    <Button tone="primary" busy={upload.isPending} onClick={() => chooser.current?.click()}>
      {t('upload')}
    </Button>
  );
  return (
    <>
      <PageHeader title={t('title')} text={t('intro')} actions={choose} />
      <input
        ref={chooser}
        type="file"
        accept=".jsonl,.json,.ndjson,application/json"
        aria-label={t('upload')}
        tabIndex={-1}
        className="sr-only"
        onChange={(event) => {
          const file = event.target.files?.[0];
          if (file) upload.mutate(file);
          event.target.value = '';
        }}
      />
      <div className="flex flex-col gap-5">
        {upload.isError && <ErrorNotice error={upload.error} />}
        <Card title={t('files')} flush>
          <QueryView query={files}>{({ pages }) => <FileTable files={pages.flatMap((page) => page.data)} />}</QueryView>
          <MoreRows query={files} />
        </Card>
        <Datasets />
      </div>
    </>
  );
}

function FileTable({ files }: { files: readonly FileObject[] }) {
  const t = useTranslations('files');
  const format = useFormat();
  if (files.length === 0) return <EmptyState title={t('emptyTitle')} text={t('emptyText')} />;
  const columns: Column<FileObject>[] = [
    {
      key: 'name',
      title: t('column.name'),
      cell: (file) => (
        <>
          <Link
            href={routes.file(file.id)}
            className="focus-ring rounded font-medium break-all after:absolute after:inset-0"
          >
            {file.filename}
          </Link>
          <span className="block text-xs text-muted md:hidden">{format.time(file.created_at)}</span>
        </>
      ),
    },
    { key: 'status', title: t('column.status'), cell: (file) => <FileBadge status={file.status} /> },
    {
      key: 'size',
      title: t('column.size'),
      align: 'end',
      className: 'whitespace-nowrap',
      cell: (file) => format.bytes(file.bytes),
    },
    {
      key: 'created',
      title: t('column.created'),
      wide: true,
      className: 'whitespace-nowrap',
      cell: (file) => format.time(file.created_at),
    },
  ];
  return <Table label={t('files')} columns={columns} rows={files} rowKey={(file) => file.id} />;
}

function Datasets() {
  const t = useTranslations('files');
  const format = useFormat();
  const query = useInfiniteQuery(datasetsQuery);
  const columns: Column<Dataset>[] = [
    {
      key: 'name',
      title: t('column.sources'),
      cell: (dataset) => (
        <>
          <Link
            href={routes.dataset(dataset.id)}
            className="focus-ring rounded font-medium break-all after:absolute after:inset-0"
          >
            {dataset.sources.map((source) => source.filename).join(' + ') || dataset.id}
          </Link>
          <span className="block text-xs text-muted">{t(`role.${dataset.role}`)}</span>
        </>
      ),
    },
    { key: 'state', title: t('column.status'), cell: (dataset) => <DatasetBadge state={dataset.state} /> },
    { key: 'rows', title: t('column.rows'), align: 'end', wide: true, cell: (dataset) => format.number(dataset.rows) },
    { key: 'tokens', title: t('column.tokens'), align: 'end', cell: (dataset) => format.number(dataset.tokens) },
    {
      key: 'created',
      title: t('column.created'),
      wide: true,
      className: 'whitespace-nowrap',
      cell: (dataset) => format.time(dataset.created_at),
    },
  ];
  return (
    <Card title={t('datasets')} flush>
      <QueryView query={query}>
        {({ pages }) => {
          const items = pages.flatMap((page) => page.items);
          return items.length === 0 ? (
            <p className="px-5 pb-5 text-sm text-muted">{t('noDatasets')}</p>
          ) : (
            <Table label={t('datasets')} columns={columns} rows={items} rowKey={(dataset) => dataset.id} />
          );
        }}
      </QueryView>
      <MoreRows query={query} />
    </Card>
  );
}
