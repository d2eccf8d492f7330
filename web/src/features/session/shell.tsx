'use client';
import { Skeleton } from '@luthier/ui';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { LogOut } from 'lucide-react';
import { useTranslations } from 'next-intl';
import Link from 'next/link';
import { usePathname, useRouter } from 'next/navigation';
import type { ReactNode } from 'react';
import { hasClusterQuery } from '../../lib/api/cluster';
import { sessionQuery, signOut } from '../../lib/api/session';
import { ErrorNotice } from '../../lib/error-notice';
import { isSignedOut } from '../../lib/problem';
import { routes } from '../../lib/routes';
import { LanguageSwitch } from './language-switch';
import { Wordmark } from './wordmark';

/** Header and navigation around every page for those who are signed in. */
export function Shell({ children }: { children: ReactNode }) {
  const c = useTranslations('common');
  const session = useQuery(sessionQuery);
  const content = session.data ? (
    children
  ) : session.error && !isSignedOut(session.error) ? (
    <ErrorNotice error={session.error} onRetry={() => void session.refetch()} />
  ) : (
    <Skeleton lines={5} label={c('loading')} />
  );
  return (
    <>
      <a
        href="#content"
        className="sr-only focus:not-sr-only focus:absolute focus:top-2 focus:left-2 focus:z-50 focus:rounded-lg focus:bg-raised focus:px-3 focus:py-2"
      >
        {c('skip')}
      </a>
      <Header />
      <main id="content" className="mx-auto w-full max-w-6xl px-4 py-6 sm:px-6 sm:py-8">
        {content}
      </main>
    </>
  );
}

function Header() {
  const c = useTranslations('common');
  const t = useTranslations('session');
  const router = useRouter();
  const queries = useQueryClient();
  const leave = async (): Promise<void> => {
    // Whether the platform heard it or not: nothing of this person stays on the screen.
    await signOut().catch(() => undefined);
    queries.clear();
    router.replace(routes.signIn());
  };
  return (
    <header className="border-b border-line bg-raised">
      <div className="mx-auto flex max-w-6xl flex-wrap items-center gap-x-6 px-4 sm:px-6">
        <Link href={routes.jobs()} className="focus-ring my-2.5 rounded-lg">
          <Wordmark name={c('product')} />
        </Link>
        <Navigation />
        <div className="ml-auto flex items-center gap-1">
          <LanguageSwitch />
          <button
            type="button"
            onClick={() => void leave()}
            aria-label={t('signOut')}
            title={t('signOut')}
            className="focus-ring inline-flex size-9 cursor-pointer items-center justify-center rounded-lg text-muted hover:bg-sunken hover:text-ink"
          >
            <LogOut aria-hidden="true" className="size-4" />
          </button>
        </div>
      </div>
    </header>
  );
}

function Navigation() {
  const c = useTranslations('common');
  const pathname = usePathname();
  const session = useQuery(sessionQuery);
  const hasCluster = useQuery({ ...hasClusterQuery, enabled: session.data !== undefined });
  const places = [
    { href: routes.jobs(), name: c('nav.jobs'), under: ['/jobs'] },
    { href: routes.files(), name: c('nav.files'), under: ['/files', '/datasets'] },
    { href: routes.models(), name: c('nav.models'), under: ['/models'] },
    { href: routes.playground(), name: c('nav.playground'), under: ['/playground'] },
    ...(hasCluster.data === true ? [{ href: routes.cluster(), name: c('nav.cluster'), under: ['/cluster'] }] : []),
  ];
  return (
    <nav aria-label={c('nav.label')} className="order-last -mx-1 flex w-full gap-1 sm:order-none sm:w-auto">
      {places.map(({ href, name, under }) => {
        const here = under.some((start) => pathname.startsWith(start));
        return (
          <Link
            key={href}
            href={href}
            {...(here && { 'aria-current': 'page' as const })}
            className={`focus-ring -mb-px border-b-2 px-2.5 py-2.5 text-sm whitespace-nowrap sm:py-4 ${here ? 'border-accent font-medium text-ink' : 'border-transparent text-muted hover:text-ink'}`}
          >
            {name}
          </Link>
        );
      })}
    </nav>
  );
}
