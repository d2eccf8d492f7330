'use client';
import { Button, buttonClass, Card, ConfirmDialog, FactList } from '@luthier/ui';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useTranslations } from 'next-intl';
import Link from 'next/link';
import { useRouter } from 'next/navigation';
import { keys } from '../../lib/api/client';
import { deleteFile, fileQuery, validationQuery } from '../../lib/api/files';
import type { FileObject } from '../../lib/api/files';
import { ErrorNotice } from '../../lib/error-notice';
import { PageHeader } from '../../lib/page-header';
import { QueryView } from '../../lib/query-view';
import { routes } from '../../lib/routes';
import { useFormat } from '../../lib/use-format';
import { RowPreview } from './row-preview';
import { FileBadge } from './state-badges';
import { ValidationSummary } from './validation-view';

export function FileDetail({ fileId }: { fileId: string }) {
  const query = useQuery(fileQuery(fileId));
  return (
    <QueryView query={query} lines={8}>
      {(file) => <FilePage file={file} />}
    </QueryView>
  );
}

function FilePage({ file }: { file: FileObject }) {
  const t = useTranslations('files');
  const format = useFormat();
  const report = useQuery(validationQuery(file.id));
  const checked = report.data?.state === 'done' ? report.data : null;
  const usable = checked !== null && checked.usable_rows > 0;
  const facts = [
    { name: t('fact.id'), value: <span className="break-all">{file.id}</span> },
    { name: t('column.size'), value: format.bytes(file.bytes) },
    { name: t('column.created'), value: format.time(file.created_at) },
    ...(checked
      ? [
          ...(checked.row_kind === null ? [] : [{ name: t('fact.kind'), value: t(`kind.${checked.row_kind}`) }]),
          {
            name: t('fact.format'),
            value: checked.format === null ? t('format.none') : t(`format.${checked.format}`),
          },
          { name: t('fact.characters'), value: format.number(checked.characters) },
        ]
      : []),
  ];
  return (
    <>
      <PageHeader
        title={file.filename}
        mark={<FileBadge status={checked ? (usable ? 'processed' : 'error') : file.status} />}
        back={{ href: routes.files(), name: t('title') }}
        actions={
          <>
            <Delete fileId={file.id} />
            {usable && (
              <Link href={routes.newJob({ file: file.id })} className={buttonClass('primary')}>
                {t('train')}
              </Link>
            )}
          </>
        }
      />
      <div className="grid gap-5 lg:grid-cols-[minmax(0,1fr)_20rem] lg:items-start">
        <div className="flex min-w-0 flex-col gap-5">
          <Card title={t('report')}>
            <QueryView query={report}>{(data) => <ValidationSummary report={data} open />}</QueryView>
          </Card>
          {usable && <RowPreview fileId={file.id} />}
        </div>
        <Card title={t('about')} className="order-first lg:order-none">
          <FactList facts={facts} />
        </Card>
      </div>
    </>
  );
}

function Delete({ fileId }: { fileId: string }) {
  const t = useTranslations('files');
  const router = useRouter();
  const queries = useQueryClient();
  const remove = useMutation({
    mutationFn: () => deleteFile(fileId),
    onSuccess: async () => {
      router.push(routes.files());
      await queries.invalidateQueries({ queryKey: [...keys.files, 'list'] });
    },
  });
  return (
    <>
      <ConfirmDialog
        trigger={
          <Button tone="danger" busy={remove.isPending}>
            {t('delete.action')}
          </Button>
        }
        title={t('delete.title')}
        text={t('delete.text')}
        confirm={t('delete.action')}
        dismiss={t('delete.keep')}
        onConfirm={() => remove.mutate()}
      />
      {remove.isError && (
        <div className="w-full">
          <ErrorNotice error={remove.error} />
        </div>
      )}
    </>
  );
}
