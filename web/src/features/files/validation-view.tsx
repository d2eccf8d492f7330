'use client';
import { Badge, Button, Disclosure, Progress } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import { useState } from 'react';
import type { ValidationReport } from '../../lib/api/files';
import { useFormat } from '../../lib/use-format';
import { useTold } from '../../lib/told/use-told';

const FIRST = 10;

/** In one line how many rows are usable; below it what is wrong, by line. */
export function ValidationSummary({ report, open = false }: { report: ValidationReport; open?: boolean }) {
  const t = useTranslations('files');
  const format = useFormat();
  if (report.state === 'validating') {
    return (
      <p role="status" className="text-sm text-muted">
        {t('validating', { rows: format.number(report.rows) })}
      </p>
    );
  }
  const bad = report.usable_rows === 0;
  return (
    <div className="flex flex-col gap-2">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1 text-sm">
        <Badge tone={bad ? 'bad' : report.error_count > 0 ? 'warn' : 'good'}>
          {t('usable', { usable: format.number(report.usable_rows), rows: format.number(report.rows) })}
        </Badge>
        <span className="text-muted">{t('found', { errors: report.error_count, warnings: report.warning_count })}</span>
      </div>
      {open && report.rows > 0 && <Progress value={report.usable_rows / report.rows} label={t('usableShare')} />}
      {report.issues.length > 0 &&
        (open ? (
          <Issues report={report} />
        ) : (
          <Disclosure title={t('showIssues', { count: report.issues.length })} defaultOpen={bad}>
            <Issues report={report} />
          </Disclosure>
        ))}
    </div>
  );
}

function Issues({ report }: { report: ValidationReport }) {
  const t = useTranslations('files');
  const told = useTold();
  const [count, setCount] = useState(FIRST);
  const total = report.error_count + report.warning_count;
  return (
    <>
      <ul className="mt-2 flex flex-col gap-3 text-sm">
        {report.issues.slice(0, count).map((issue, index) => (
          <li key={index} className="flex flex-col gap-x-3 gap-y-0.5 sm:flex-row">
            <span className="w-24 shrink-0 text-xs leading-5 text-muted tabular-nums">
              {issue.line === 0 ? t('wholeFile') : t('line', { line: issue.line })}
              {issue.field !== null && <code className="block font-mono break-all">{issue.field}</code>}
            </span>
            <span className="min-w-0 break-words">
              <span className={`font-medium ${issue.severity === 'error' ? 'text-bad' : 'text-warn'}`}>
                {t(`severity.${issue.severity}`)}
              </span>{' '}
              {told.issue(issue).title}
              <span className="block text-xs leading-relaxed text-muted">{told.issue(issue).hint}</span>
            </span>
          </li>
        ))}
      </ul>
      {report.issues.length > count && (
        <Button className="mt-3" onClick={() => setCount(report.issues.length)}>
          {t('allIssues', { count: report.issues.length })}
        </Button>
      )}
      {report.issues.length <= count && total > report.issues.length && (
        <p className="mt-3 text-xs text-muted">{t('firstOnly', { shown: report.issues.length, total })}</p>
      )}
    </>
  );
}
