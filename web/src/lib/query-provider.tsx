'use client';
import { QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { useRouter } from 'next/navigation';
import type { ReactNode } from 'react';
import { useState } from 'react';
import { isPassing, isSignedOut } from './problem';
import { routes } from './routes';

/** One cache for the page. Whoever is not signed in is led to the sign-in page, and back after it. */
export function QueryProvider({ children }: { children: ReactNode }) {
  const router = useRouter();
  const [client] = useState(() => {
    const leadToSignIn = (error: unknown): void => {
      const { pathname, search } = window.location;
      if (isSignedOut(error) && pathname !== routes.signIn()) router.replace(routes.signIn(pathname + search));
    };
    return new QueryClient({
      queryCache: new QueryCache({ onError: leadToSignIn }),
      defaultOptions: {
        queries: { staleTime: 2_000, retry: (count, error) => isPassing(error) && count < 3 },
        mutations: { onError: leadToSignIn },
      },
    });
  });
  return <QueryClientProvider client={client}>{children}</QueryClientProvider>;
}
