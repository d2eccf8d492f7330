'use client';
import { unwrap } from '@luthier/api-client';
import type { paths, Schemas } from '@luthier/api-client';
import { queryOptions } from '@tanstack/react-query';
import { WORK_REFRESH_MS, client, keys } from './client';
import { CHOICE_PAGE, allOf } from './pages';

type Exported =
  paths['/api/v1/models/{model}/exports/{format}']['post']['responses'][200]['content']['application/json'];
export type ExportedFile = Exported['files'][number];
export type ExportParity = NonNullable<Exported['parity']>;
export type ExportFormat = paths['/api/v1/models/{model}/exports/{format}']['post']['parameters']['path']['format'];
export type Model = Schemas['Model'];

export const modelsQuery = queryOptions({
  queryKey: [...keys.models, 'list'],
  queryFn: async ({ signal }) => ({
    items: await allOf(async (after) => {
      const query = { limit: CHOICE_PAGE, ...after };
      const { items, has_more: more } = await unwrap(client.GET('/api/v1/models', { params: { query }, signal }));
      return { items, more };
    }),
  }),
  refetchInterval: ({ state }) =>
    state.data?.items.some((model) => model.state === 'importing') === true ? WORK_REFRESH_MS : false,
});

export const modelQuery = (model: string) =>
  queryOptions({
    queryKey: [...keys.models, model],
    queryFn: ({ signal }) => unwrap(client.GET('/api/v1/models/{model}', { params: { path: { model } }, signal })),
    refetchInterval: ({ state }) => (state.data?.model.state === 'importing' ? WORK_REFRESH_MS : false),
  });

/** Asking begins the export or joins it; once asked for, it is looked after until it is ready or has failed. */
export const exportQuery = (modelId: string, format: ExportFormat, wanted: boolean) =>
  queryOptions({
    queryKey: [...keys.models, modelId, 'exports', format],
    queryFn: ({ signal }) =>
      unwrap(
        client.POST('/api/v1/models/{model}/exports/{format}', {
          params: { path: { model: modelId, format } },
          signal,
        }),
      ),
    enabled: ({ state }) => wanted || (state.data !== undefined && state.error === null),
    refetchInterval: ({ state }) => (state.data?.state === 'making' && state.error === null ? WORK_REFRESH_MS : false),
    // To ask again after a failure begins anew: only its reader may.
    ...{ retry: false, refetchOnWindowFocus: false, refetchOnReconnect: false },
  });

export const catalogQuery = queryOptions({
  queryKey: ['catalog'],
  queryFn: ({ signal }) => unwrap(client.GET('/api/v1/catalog', { signal })),
});

export const importModel = (model: string) => unwrap(client.POST('/api/v1/models', { body: { model } }));
