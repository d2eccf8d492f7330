'use client';
import { unwrap } from '@luthier/api-client';
import type { paths } from '@luthier/api-client';
import { queryOptions } from '@tanstack/react-query';
import { LIST_REFRESH_MS, client } from './client';

export type Cluster = paths['/api/v1/cluster']['get']['responses'][200]['content']['application/json'];
export type Findings = paths['/api/v1/cluster/doctor']['get']['responses'][200]['content']['application/json'];
export type Inventory = paths['/api/v1/inventory']['get']['responses'][200]['content']['application/json'];

export const clusterQuery = queryOptions({
  queryKey: ['cluster'],
  queryFn: ({ signal }) => unwrap(client.GET('/api/v1/cluster', { signal })),
  refetchInterval: LIST_REFRESH_MS,
});

/** Whether there is a cluster at all hardly ever changes. */
export const hasClusterQuery = queryOptions({
  queryKey: ['cluster', 'is there'],
  queryFn: async ({ signal }) => (await unwrap(client.GET('/api/v1/cluster', { signal }))).executor === 'kubernetes',
  staleTime: Infinity,
  retry: false,
});

/** What there is to run on: it decides which methods can be offered. */
export const inventoryQuery = queryOptions({
  queryKey: ['inventory'],
  queryFn: ({ signal }) => unwrap(client.GET('/api/v1/inventory', { signal })),
  retry: false,
});

export const doctorQuery = queryOptions({
  queryKey: ['cluster', 'doctor'],
  queryFn: ({ signal }) => unwrap(client.GET('/api/v1/cluster/doctor', { signal })),
  retry: false,
});
