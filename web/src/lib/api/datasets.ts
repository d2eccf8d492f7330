'use client';
import { unwrap } from '@luthier/api-client';
import type { Schemas } from '@luthier/api-client';
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { WORK_REFRESH_MS, client } from './client';
import { PAGE } from './pages';

export type Dataset = Schemas['Dataset'];

export const datasetsQuery = infiniteQueryOptions({
  queryKey: ['datasets', 'list'],
  queryFn: ({ signal, pageParam }) =>
    unwrap(
      client.GET('/api/v1/datasets', {
        params: { query: { limit: PAGE, ...(pageParam !== '' && { after: pageParam }) } },
        signal,
      }),
    ),
  initialPageParam: '',
  getNextPageParam: (last) => (last.has_more ? last.items.at(-1)?.id : undefined),
});

export const datasetQuery = (datasetId: string) =>
  queryOptions({
    queryKey: ['datasets', datasetId],
    queryFn: ({ signal }) =>
      unwrap(client.GET('/api/v1/datasets/{dataset_id}', { params: { path: { dataset_id: datasetId } }, signal })),
    refetchInterval: ({ state }) => (state.data?.state === 'preparing' ? WORK_REFRESH_MS : false),
  });
