'use client';
import { Badge, Button, Card, Notice } from '@luthier/ui';
import { useQuery } from '@tanstack/react-query';
import { useTranslations } from 'next-intl';
import { doctorQuery } from '../../lib/api/cluster';
import type { Findings } from '../../lib/api/cluster';
import { ErrorNotice } from '../../lib/error-notice';
import type { Finding } from '../../lib/told/finding-told';
import { useTold } from '../../lib/told/use-told';

const TONES = { ok: 'good', warn: 'warn', fail: 'bad' } as const;
const ORDER = { fail: 0, warn: 1, ok: 2 } as const;

/** Looks at everything that runs need when it is asked: that takes the cluster some dozens of answers. */
export function Doctor() {
  const t = useTranslations('cluster');
  const query = useQuery({ ...doctorQuery, enabled: false });
  return (
    <Card title={t('doctor')}>
      <p className="mb-4 max-w-prose text-sm text-muted">{t('doctorText')}</p>
      <Button busy={query.isFetching} onClick={() => void query.refetch()}>
        {query.data ? t('examineAgain') : t('examine')}
      </Button>
      {query.error && (
        <div className="mt-4">
          <ErrorNotice error={query.error} />
        </div>
      )}
      {query.data && <FindingList findings={query.data} />}
    </Card>
  );
}

function FindingList({ findings }: { findings: Findings }) {
  const t = useTranslations('cluster');
  const failed = findings.checks.filter(({ state }) => state === 'fail').length;
  const checks = findings.checks.toSorted((a, b) => ORDER[a.state] - ORDER[b.state]);
  return (
    <div className="mt-4 flex flex-col gap-4">
      {findings.ok ? (
        <Notice tone="good" title={t('healthy')} />
      ) : (
        <Notice tone="bad" title={t('unhealthy', { count: failed })} />
      )}
      <ul>
        {checks.map((check, index) => (
          <FindingRow key={`${check.check} ${index}`} finding={check} />
        ))}
      </ul>
    </div>
  );
}

function FindingRow({ finding }: { finding: Finding }) {
  const t = useTranslations('cluster');
  const { title, message, fix } = useTold().finding(finding);
  const { state } = finding;
  return (
    <li className="flex gap-3 border-t border-line py-3 text-sm first:border-0">
      <span className="w-20 shrink-0">
        <Badge tone={TONES[state]}>{t(`finding.${state}`)}</Badge>
      </span>
      <div className="min-w-0">
        <p className="font-medium break-words">{title}</p>
        <p className="break-words text-muted">{message}</p>
        {fix !== null && <p className="mt-1 break-words">{t('fix', { fix })}</p>}
      </div>
    </li>
  );
}
