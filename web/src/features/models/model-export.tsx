'use client';
import { Button, buttonClass, Card, Spinner } from '@luthier/ui';
import { useQuery } from '@tanstack/react-query';
import { useTranslations } from 'next-intl';
import { useState } from 'react';
import { exportQuery } from '../../lib/api/models';
import type { ExportedFile, ExportFormat, ExportParity, Model } from '../../lib/api/models';
import { ErrorNotice } from '../../lib/error-notice';
import { exportedFileUrl } from '../../lib/routes';
import { useTold } from '../../lib/told/use-told';
import { useFormat } from '../../lib/use-format';
import { exportOffers } from './export-offers';
import type { ExportOffer } from './export-offers';

const NATS_SHOWN_MIN = 0.0001;

/** What the model can be taken elsewhere as. */
export function ModelExport({ model }: { model: Model }) {
  const t = useTranslations('models');
  return (
    <Card title={t('export.title')}>
      <p className="mb-1 max-w-prose text-sm leading-relaxed text-muted">{t('export.intro')}</p>
      <ul>
        {exportOffers(model).map((offer) => (
          <Offer key={offer.format} model={model} offer={offer} />
        ))}
      </ul>
    </Card>
  );
}

function Offer({ model, offer: { format, refused, sizeBytes } }: { model: Model; offer: ExportOffer }) {
  const t = useTranslations('models');
  const name = t(`export.name.${format}`);
  const { bytes } = useFormat();
  const [since, setSince] = useState<number | null>(null);
  const query = useQuery(exportQuery(model.id, format, since !== null));
  const ready = query.data?.state === 'ready' ? query.data.files : null;
  const failed = query.error !== null && !query.isFetching;
  const busy = !failed && ready === null && (since !== null || query.data !== undefined);
  const start = (): void => {
    setSince(Date.now());
    if (failed) void query.refetch();
  };
  return (
    <li className="border-t border-line py-4 first:border-0 last:pb-0">
      <div className="flex flex-wrap items-start justify-between gap-x-6 gap-y-2">
        <div className="min-w-0 flex-1 basis-56 text-sm">
          <h3 className="font-medium">{name}</h3>
          <p className="leading-relaxed text-muted">{t(`export.what.${format}`)}</p>
          {sizeBytes !== null && <p className="text-muted">{t('export.size', { size: bytes(sizeBytes) })}</p>}
          {refused !== null && <p className="mt-1 leading-relaxed">{t(`export.refused.${refused}`)}</p>}
        </div>
        {refused === null && ready === null && !failed && (
          <Button busy={busy} aria-label={t('export.startAs', { name })} onClick={start}>
            {t('export.start')}
          </Button>
        )}
      </div>
      <div role="status" className="text-sm">
        {busy && (
          <Making
            seconds={since !== null && query.dataUpdatedAt > since ? (query.dataUpdatedAt - since) / 1000 : null}
          />
        )}
        {ready && <p className="mt-2 font-medium text-good">{t('export.ready', { name })}</p>}
      </div>
      {query.data?.parity && <Parity parity={query.data.parity} />}
      {ready && <ExportedFiles model={model} format={format} files={ready} />}
      {failed && (
        <div className="mt-3">
          <ErrorNotice error={query.error} onRetry={start} />
        </div>
      )}
    </li>
  );
}

/** How near the file computes to the model, or why nobody looked. */
function Parity({ parity }: { parity: ExportParity }) {
  const t = useTranslations('models');
  const told = useTold();
  return (
    <p className="mt-1 max-w-prose text-sm leading-relaxed text-muted">
      {parity.status === 'same'
        ? t('export.parity.same', {
            positions: parity.positions,
            otherTokens: parity.other_tokens,
            meanKl: shownNats(parity.mean_kl),
          })
        : t('export.parity.not-checked', { reason: told.notCompared(parity.reason) })}
    </p>
  );
}

/** Two digits; what rounding alone makes is called so. */
const shownNats = (nats: number): string => (nats < NATS_SHOWN_MIN ? `< ${NATS_SHOWN_MIN}` : nats.toPrecision(2));

/** How long it has been going on, as of the last answer; how long it will is not known. */
function Making({ seconds }: { seconds: number | null }) {
  const t = useTranslations('models');
  const { duration } = useFormat();
  return (
    <p className="mt-2 flex items-center gap-2 text-muted">
      <Spinner />
      {seconds === null ? t('export.making') : t('export.makingFor', { time: duration(Math.round(seconds)) })}
    </p>
  );
}

function ExportedFiles({
  model,
  format,
  files,
}: {
  model: Model;
  format: ExportFormat;
  files: readonly ExportedFile[];
}) {
  const t = useTranslations('models');
  const { bytes } = useFormat();
  const largestFirst = files.toSorted((a, b) => b.size_bytes - a.size_bytes);
  return (
    <ul aria-label={t('export.files', { name: t(`export.name.${format}`) })} className="mt-2 flex flex-col gap-2">
      {largestFirst.map(({ name, size_bytes: size, sha256 }) => (
        <li
          key={name}
          className="flex flex-wrap items-center justify-between gap-x-4 gap-y-1.5 rounded-lg bg-sunken px-3 py-2"
        >
          <div className="min-w-0 flex-1 basis-48">
            <p className="text-sm break-all">
              <span className="font-medium">{name}</span>{' '}
              <span className="whitespace-nowrap text-muted">{bytes(size)}</span>
            </p>
            <p className="font-mono text-xs break-all text-muted">SHA-256 {sha256}</p>
          </div>
          <a
            href={exportedFileUrl(model.id, format, name)}
            download={name}
            aria-label={t('export.downloadFile', { name })}
            className={buttonClass('secondary')}
          >
            {t('export.download')}
          </a>
        </li>
      ))}
    </ul>
  );
}
