'use client';
import { buttonClass, Card, EmptyState } from '@luthier/ui';
import { useQuery } from '@tanstack/react-query';
import { useTranslations } from 'next-intl';
import Link from 'next/link';
import { useSearchParams } from 'next/navigation';
import { modelsQuery } from '../../lib/api/models';
import { PageHeader } from '../../lib/page-header';
import { QueryView } from '../../lib/query-view';
import { routes } from '../../lib/routes';
import { Comparison } from './comparison';

/** One question, answered by a base model and by what was made of it. */
export function Playground() {
  const t = useTranslations('playground');
  const wanted = useSearchParams().get('model');
  const models = useQuery(modelsQuery);
  return (
    <>
      <PageHeader title={t('title')} text={t('intro')} />
      <QueryView query={models}>
        {({ items }) => {
          const ready = items.filter((model) => model.state === 'ready');
          if (ready.length === 0) return <NoModels />;
          const tuned = ready.filter((model) => model.kind === 'tuned');
          const chosen = ready.find((model) => model.id === wanted || model.name === wanted) ?? tuned[0] ?? ready[0];
          return chosen ? <Comparison key={chosen.id} models={ready} start={chosen} /> : null;
        }}
      </QueryView>
    </>
  );
}

function NoModels() {
  const t = useTranslations('playground');
  return (
    <Card>
      <EmptyState
        title={t('emptyTitle')}
        text={t('emptyText')}
        actions={
          <Link href={routes.models()} className={buttonClass('primary')}>
            {t('toModels')}
          </Link>
        }
      />
    </Card>
  );
}
