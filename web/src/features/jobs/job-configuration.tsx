'use client';
import { Card, FactList } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import Link from 'next/link';
import type { Job } from '../../lib/api/jobs';
import { routes } from '../../lib/routes';
import { useFormat } from '../../lib/use-format';
import { FileLink } from '../files/file-link';

/** What the job was asked for, and what it was given where that was left open. */
export function JobConfiguration({ job }: { job: Job }) {
  const t = useTranslations('jobs');
  const format = useFormat();
  const { hyperparameters: h, tuning } = job;
  const dataset = (id: string) => (
    <Link href={routes.dataset(id)} className="prose-link focus-ring rounded break-all">
      {id}
    </Link>
  );
  const { nodes, devices_per_node: devices, device_type: type } = job.resources ?? {};
  const place = [
    ...(nodes === undefined || nodes === 1 ? [] : [t('config.nodes', { count: nodes })]),
    ...(devices == null ? [] : [t('config.devices', { count: devices })]),
    ...[type, job.queue].filter((name) => name != null),
  ].join(' · ');
  const facts = [
    { name: t('config.id'), value: <span className="break-all">{job.id}</span> },
    { name: t('config.model'), value: job.model },
    { name: t('config.trainingFile'), value: <FileLink fileId={job.training_file} /> },
    ...(job.validation_file === null
      ? []
      : [{ name: t('config.heldOutFile'), value: <FileLink fileId={job.validation_file} /> }]),
    ...(job.mix === null
      ? []
      : [
          {
            name: t('config.mix'),
            value: (
              <>
                <FileLink fileId={job.mix.file_id} /> · {format.percent(job.mix.share)}
              </>
            ),
          },
        ]),
    ...(job.train_dataset_id === null ? [] : [{ name: t('config.dataset'), value: dataset(job.train_dataset_id) }]),
    { name: t('config.method'), value: t(`method.name.${job.method.type}`) },
    {
      name: t('config.tuning'),
      value:
        tuning.type === 'lora' || tuning.type === 'qlora'
          ? [
              `${tuning.type === 'lora' ? 'LoRA' : 'QLoRA'} · r ${format.number(tuning.r)} · α ${format.number(tuning.lora_alpha, 2)}`,
              ...(tuning.modules_to_save ?? []),
            ].join(' · ')
          : t(`tuning.name.${tuning.type}`),
    },
    { name: t('config.epochs'), value: format.number(h.epochs, 2) },
    { name: t('config.batch'), value: t('config.rows', { count: h.global_batch }) },
    {
      name: t('config.learningRate'),
      value: `${format.significant(h.learning_rate)} · ${t(`schedule.${h.schedule}`)}`,
    },
    { name: t('config.cutoff'), value: t('config.tokens', { count: job.cutoff_length }) },
    ...(place === '' ? [] : [{ name: t('form.place'), value: place }]),
    { name: t('config.priority'), value: t(`priority.${job.priority ?? 'normal'}`) },
    { name: t('config.seed'), value: String(job.seed) },
    { name: t('config.created'), value: format.time(job.created_at) },
    ...(job.finished_at === null ? [] : [{ name: t('config.finished'), value: format.time(job.finished_at) }]),
  ];
  return (
    <Card title={t('config.title')}>
      <FactList facts={facts} />
    </Card>
  );
}
