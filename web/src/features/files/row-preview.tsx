'use client';
import { Button, Card } from '@luthier/ui';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useTranslations } from 'next-intl';
import { useState } from 'react';
import { rowsQuery } from '../../lib/api/files';
import type { Row } from '../../lib/api/files';
import { formatFacts } from '../../lib/format';
import { QueryView } from '../../lib/query-view';
import { useFormat } from '../../lib/use-format';

const PAGE = 10;

interface Turn {
  speaker: Row['messages'][number]['role'] | 'chosen' | 'rejected' | 'text';
  text: string;
}

/** A row as it is read: of a pair the two answers, last; of plain text the text alone. */
function turnsOf({ messages, rejected, text }: Row): Turn[] {
  if (text !== undefined) return [{ speaker: 'text', text }];
  const turns = messages.map(({ role, content }): Turn => ({ speaker: role, text: content }));
  if (rejected === undefined) return turns;
  const chosen: Turn = { speaker: 'chosen', text: turns.at(-1)?.text ?? '' };
  return [...turns.slice(0, -1), chosen, { speaker: 'rejected', text: rejected }];
}

/** The usable rows as conversations: what the model will learn from. */
export function RowPreview({ fileId }: { fileId: string }) {
  const t = useTranslations('files');
  const format = useFormat();
  // A page can be shorter than asked, so the way back is remembered.
  const [starts, setStarts] = useState([0]);
  const offset = starts.at(-1) ?? 0;
  const query = useQuery({ ...rowsQuery(fileId, offset, PAGE), placeholderData: keepPreviousData });
  return (
    <Card title={t('rows')}>
      <QueryView query={query}>
        {({ rows, total, next_offset: nextOffset }) => (
          <>
            <ol className="flex flex-col divide-y divide-line">
              {rows.map((row) => (
                <li key={row.line} className="py-3 first:pt-0">
                  <p className="text-xs text-muted tabular-nums">
                    {t('line', { line: row.line })}
                    {row.suite !== null && ` · ${row.suite}`}
                    {row.desirable !== undefined && ` · ${row.desirable ? t('rated.good') : t('rated.bad')}`}
                    {row.facts.length > 0 && ` · ${t('mustContain', { facts: formatFacts(row.facts) })}`}
                  </p>
                  <dl className="mt-1.5 flex flex-col gap-1.5 text-sm">
                    {turnsOf(row).map(({ speaker, text }, index) => (
                      <div key={index} className="grid gap-x-2 sm:grid-cols-[5.5rem_1fr]">
                        <dt className="text-xs leading-5 text-muted">{t(`speaker.${speaker}`)}</dt>
                        <dd className="min-w-0 break-words whitespace-pre-wrap">{text}</dd>
                      </div>
                    ))}
                  </dl>
                </li>
              ))}
            </ol>
            {(offset > 0 || nextOffset < total) && (
              <div className="mt-4 flex items-center justify-between gap-3 text-sm">
                <Button disabled={starts.length === 1} onClick={() => setStarts(starts.slice(0, -1))}>
                  {t('previous')}
                </Button>
                <span className="text-center text-xs text-muted tabular-nums">
                  {t('range', {
                    from: format.number(offset + 1),
                    to: format.number(nextOffset),
                    total: format.number(total),
                  })}
                </span>
                <Button
                  disabled={query.isPlaceholderData || nextOffset >= total}
                  onClick={() => setStarts([...starts, nextOffset])}
                >
                  {t('next')}
                </Button>
              </div>
            )}
          </>
        )}
      </QueryView>
    </Card>
  );
}
