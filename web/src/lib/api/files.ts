'use client';
import { unwrap, uploadFile } from '@luthier/api-client';
import type { Schemas } from '@luthier/api-client';
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { WORK_REFRESH_MS, client, keys } from './client';
import { CHOICE_PAGE, PAGE, allOf } from './pages';

export type FileObject = Schemas['OpenAIFile'];
export type Row = Schemas['DatasetRow'];
export type ValidationReport = Schemas['ValidationReport'];

export const filesQuery = infiniteQueryOptions({
  queryKey: [...keys.files, 'list'],
  queryFn: ({ signal, pageParam }) =>
    unwrap(
      client.GET('/v1/files', {
        params: { query: { limit: PAGE, ...(pageParam !== '' && { after: pageParam }) } },
        signal,
      }),
    ),
  initialPageParam: '',
  getNextPageParam: (last) => (last.has_more ? last.data.at(-1)?.id : undefined),
});

/** Files to choose from, newest first. */
export const trainingFilesQuery = queryOptions({
  queryKey: [...keys.files, 'choice'],
  queryFn: ({ signal }) =>
    allOf(async (after) => {
      const query = { limit: CHOICE_PAGE, purpose: 'fine-tune' as const, ...after };
      const { data, has_more: more } = await unwrap(client.GET('/v1/files', { params: { query }, signal }));
      return { items: data, more };
    }),
});

export const fileQuery = (fileId: string) =>
  queryOptions({
    queryKey: [...keys.files, fileId],
    queryFn: ({ signal }) =>
      unwrap(client.GET('/v1/files/{file_id}', { params: { path: { file_id: fileId } }, signal })),
  });

export const validationQuery = (fileId: string, enabled = true) =>
  queryOptions({
    queryKey: [...keys.files, fileId, 'validation'],
    queryFn: ({ signal }) =>
      unwrap(client.GET('/api/v1/files/{file_id}/validation', { params: { path: { file_id: fileId } }, signal })),
    enabled,
    refetchInterval: ({ state }) => (state.data?.state === 'done' ? false : WORK_REFRESH_MS),
  });

export const rowsQuery = (fileId: string, offset: number, limit: number) =>
  queryOptions({
    queryKey: [...keys.files, fileId, 'rows', offset, limit],
    queryFn: ({ signal }) =>
      unwrap(
        client.GET('/api/v1/files/{file_id}/rows', {
          params: { path: { file_id: fileId }, query: { offset, limit } },
          signal,
        }),
      ),
  });

export const uploadTrainingFile = (file: File) =>
  uploadFile(client, { content: file, filename: file.name, purpose: 'fine-tune' });

export const deleteFile = (fileId: string) =>
  unwrap(client.DELETE('/v1/files/{file_id}', { params: { path: { file_id: fileId } } }));
