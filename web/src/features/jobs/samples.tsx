'use client';
import { Badge, Button, Card } from '@luthier/ui';
import { useTranslations } from 'next-intl';
import { useState } from 'react';
import type { Evaluation } from '../../lib/api/jobs';
import { formatFacts } from '../../lib/format';

type Sample = Evaluation['samples'][number];
const FILTERS = ['misses', 'right', 'all'] as const;
const PAGE = 5;

const shown = (samples: readonly Sample[], filter: (typeof FILTERS)[number]): readonly Sample[] =>
  samples.filter(({ tuned_right: right }) => filter === 'all' || right === (filter === 'right'));

/** Questions with both answers; what the tuned model got wrong comes first, since that is what one has to know. */
export function Samples({ samples }: { samples: readonly Sample[] }) {
  const t = useTranslations('jobs');
  const [filter, setFilter] = useState<(typeof FILTERS)[number]>(() =>
    shown(samples, 'misses').length > 0 ? 'misses' : 'all',
  );
  const [count, setCount] = useState(PAGE);
  const list = shown(samples, filter);
  return (
    <Card title={t('samples.title')}>
      <div className="mb-4 flex flex-wrap gap-2" role="group" aria-label={t('samples.filter')}>
        {FILTERS.map((name) => (
          <Button
            key={name}
            tone={name === filter ? 'secondary' : 'quiet'}
            aria-pressed={name === filter}
            onClick={() => {
              setFilter(name);
              setCount(PAGE);
            }}
          >
            {t(`samples.${name}`, { count: shown(samples, name).length })}
          </Button>
        ))}
      </div>
      {list.length === 0 && <p className="text-sm text-muted">{t('samples.none')}</p>}
      <ol className="flex flex-col divide-y divide-line">
        {list.slice(0, count).map((sample) => (
          <SampleView key={`${sample.suite}-${sample.line}`} sample={sample} />
        ))}
      </ol>
      {list.length > count && (
        <Button className="mt-3" onClick={() => setCount(count + PAGE * 2)}>
          {t('samples.more', { count: list.length - count })}
        </Button>
      )}
    </Card>
  );
}

function SampleView({ sample }: { sample: Sample }) {
  const t = useTranslations('jobs');
  return (
    <li className="py-4 first:pt-0">
      <h3 className="text-sm font-medium break-words">{sample.question}</h3>
      <p className="mt-1 text-xs break-words text-muted">
        {t('samples.expected', { answer: sample.expected })}
        {sample.facts.length > 0 && ` · ${t('samples.facts', { facts: formatFacts(sample.facts) })}`}
      </p>
      {sample.not_answered === null ? (
        <div className="mt-2.5 grid gap-3 sm:grid-cols-2">
          <AnswerView name={t('result.base')} text={sample.base} right={sample.base_right} />
          <AnswerView name={t('result.tuned')} text={sample.tuned} right={sample.tuned_right} />
        </div>
      ) : (
        <p className="mt-2.5 rounded-lg bg-sunken px-3 py-2.5 text-sm break-words">
          {t('samples.notAnswered', { reason: sample.not_answered })}
        </p>
      )}
    </li>
  );
}

function AnswerView({ name, text, right }: { name: string; text: string; right: boolean | null }) {
  const t = useTranslations('jobs');
  return (
    <div className="min-w-0 rounded-lg bg-sunken px-3 py-2.5">
      <div className="flex items-center justify-between gap-2 text-xs text-muted">
        {name}
        {right !== null && (
          <Badge tone={right ? 'good' : 'bad'}>{right ? t('samples.isRight') : t('samples.isWrong')}</Badge>
        )}
      </div>
      <p className="mt-1 text-sm leading-relaxed break-words whitespace-pre-wrap">{text === '' ? '–' : text}</p>
    </div>
  );
}
