'use client';
import { Button, ConfirmDialog } from '@luthier/ui';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useTranslations } from 'next-intl';
import type { Job } from '../../lib/api/jobs';
import { keys } from '../../lib/api/client';
import { restartJob } from '../../lib/api/jobs';
import { ErrorNotice } from '../../lib/error-notice';

interface RestartRunProps {
  job: Job;
  /** Of the newest checkpoint; 0: there is none. */
  fromStep: number;
  /** Where the reader has just been told what is wrong. */
  urged?: boolean;
}

/** Ends the attempt that the reader sees, so that the next one goes on from the newest checkpoint. */
export function RestartRun({ job, fromStep, urged = false }: RestartRunProps) {
  const t = useTranslations('jobs');
  const queries = useQueryClient();
  const attempt = job.attempts.at(-1)?.attempt;
  const restart = useMutation({
    mutationFn: () => restartJob(job.id, attempt),
    onSettled: () => queries.invalidateQueries({ queryKey: keys.jobs }),
  });
  return (
    <div className="flex flex-col items-end gap-2">
      <ConfirmDialog
        trigger={
          <Button tone={urged ? 'primary' : 'secondary'} busy={restart.isPending}>
            {t(urged ? 'restart.elsewhere' : 'restart.action')}
          </Button>
        }
        title={t('restart.title')}
        text={t('restart.text', { step: fromStep })}
        confirm={t('restart.confirm')}
        dismiss={t('restart.keep')}
        onConfirm={() => restart.mutate()}
      />
      {restart.error !== null && <ErrorNotice error={restart.error} />}
    </div>
  );
}
