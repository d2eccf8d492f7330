'use client';
import { unwrap } from '@luthier/api-client';
import { queryOptions } from '@tanstack/react-query';
import { client, keys } from './client';

export const sessionQuery = queryOptions({
  queryKey: keys.session,
  queryFn: ({ signal }) => unwrap(client.GET('/api/v1/session', { signal })),
  retry: false,
});

export const signIn = (key: string) => unwrap(client.POST('/api/v1/session', { body: { key } }));

export const signOut = () => unwrap(client.DELETE('/api/v1/session'));
