import { buttonClass, EmptyState } from '@luthier/ui';
import { getTranslations } from 'next-intl/server';
import Link from 'next/link';
import { routes } from '../lib/routes';

export default async function NotFound() {
  const t = await getTranslations('errors');
  return (
    <main className="mx-auto max-w-xl py-20">
      <h1 className="sr-only">{t('noPage')}</h1>
      <EmptyState
        title={t('noPage')}
        text={t('noPageText')}
        actions={
          <Link href={routes.jobs()} className={buttonClass('primary')}>
            {t('toJobs')}
          </Link>
        }
      />
    </main>
  );
}
