'use client';
import { Button, Field, Select } from '@luthier/ui';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Upload } from 'lucide-react';
import { useTranslations } from 'next-intl';
import { useRef } from 'react';
import { keys } from '../../lib/api/client';
import { trainingFilesQuery, uploadTrainingFile, validationQuery } from '../../lib/api/files';
import { ErrorNotice } from '../../lib/error-notice';
import { QueryView } from '../../lib/query-view';
import { useFormat } from '../../lib/use-format';
import { ValidationSummary } from '../files/validation-view';

export interface FilePickerProps {
  label: string;
  hint: string;
  optional?: boolean;
  value: string;
  onChange: (fileId: string) => void;
}

/** An uploaded file or a new one, and at once what is right and wrong with its rows. */
export function FilePicker({ label, hint, optional = false, value, onChange }: FilePickerProps) {
  const t = useTranslations('jobs');
  const format = useFormat();
  const queries = useQueryClient();
  const chooser = useRef<HTMLInputElement>(null);
  const files = useQuery(trainingFilesQuery);
  const report = useQuery(validationQuery(value, value !== ''));
  const upload = useMutation({
    mutationFn: uploadTrainingFile,
    onSuccess: async (file) => {
      await queries.invalidateQueries({ queryKey: keys.files });
      onChange(file.id);
    },
  });
  return (
    <div className="flex flex-col gap-3">
      <div className="flex flex-wrap items-end gap-2">
        <Field label={label} hint={hint} className="w-full">
          {(ids) => (
            <div className="flex flex-wrap gap-2">
              <Select {...ids} className="min-w-48 flex-1" value={value} onChange={(e) => onChange(e.target.value)}>
                <option value="">{optional ? t('form.none') : t('form.chooseFile')}</option>
                {(files.data ?? []).map((file) => (
                  <option key={file.id} value={file.id}>
                    {`${file.filename} · ${format.bytes(file.bytes)} · ${format.time(file.created_at)}`}
                  </option>
                ))}
              </Select>
              <Button busy={upload.isPending} onClick={() => chooser.current?.click()}>
                {!upload.isPending && <Upload aria-hidden="true" className="size-4" />}
                {t('form.upload')}
              </Button>
            </div>
          )}
        </Field>
        <input
          ref={chooser}
          type="file"
          accept=".jsonl,.json,.ndjson,application/json"
          aria-label={`${t('form.upload')}: ${label}`}
          tabIndex={-1}
          className="sr-only"
          onChange={(event) => {
            const file = event.target.files?.[0];
            if (file) upload.mutate(file);
            event.target.value = '';
          }}
        />
      </div>
      {files.isError && <ErrorNotice error={files.error} onRetry={() => void files.refetch()} />}
      {upload.isError && <ErrorNotice error={upload.error} />}
      {value !== '' && (
        <QueryView query={report} lines={2}>
          {(data) => <ValidationSummary report={data} />}
        </QueryView>
      )}
    </div>
  );
}
