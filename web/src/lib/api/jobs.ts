'use client';
import { unwrap } from '@luthier/api-client';
import type { paths, Schemas } from '@luthier/api-client';
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';
import { LIST_REFRESH_MS, WORK_REFRESH_MS, client, keys } from './client';
import { PAGE } from './pages';

export type Evaluation = Schemas['Evaluation'];
export type Job = Schemas['Job'];
export type JobCheckpoint = Schemas['JobCheckpoint'];
export type JobEvent = Schemas['JobEvent'];
export type Obstacle = Schemas['Obstacle'];
export type Plan = Schemas['Plan'];
/** Body of a new job and of a plan. */
export type JobBody = paths['/v1/fine_tuning/jobs']['post']['requestBody']['content']['application/json'];

const EVENTS_PAGE = 100;

const isOver = (status: Job['status']): boolean => ['succeeded', 'failed', 'cancelled'].includes(status);

export const jobsQuery = infiniteQueryOptions({
  queryKey: [...keys.jobs, 'list'],
  queryFn: ({ signal, pageParam }) =>
    unwrap(
      client.GET('/api/v1/jobs', {
        params: { query: { limit: PAGE, ...(pageParam !== '' && { after: pageParam }) } },
        signal,
      }),
    ),
  initialPageParam: '',
  getNextPageParam: (last) => (last.has_more ? last.items.at(-1)?.id : undefined),
  refetchInterval: LIST_REFRESH_MS,
});

export const jobQuery = (jobId: string) =>
  queryOptions({
    queryKey: keys.job(jobId),
    queryFn: ({ signal }) =>
      unwrap(client.GET('/api/v1/jobs/{job_id}', { params: { path: { job_id: jobId } }, signal })),
    // The live stream says when something changed; this is for when it cannot.
    refetchInterval: ({ state }) => (state.data && isOver(state.data.status) ? false : 10_000),
  });

export const evaluationQuery = (jobId: string, enabled: boolean) =>
  queryOptions({
    queryKey: [...keys.job(jobId), 'evaluation'],
    queryFn: ({ signal }) =>
      unwrap(client.GET('/api/v1/jobs/{job_id}/evaluation', { params: { path: { job_id: jobId } }, signal })),
    enabled,
    refetchInterval: ({ state }) =>
      state.data && (state.data.state === 'completed' || state.data.state === 'failed') ? false : WORK_REFRESH_MS,
  });

/** Complete, while a live stream may have dropped its oldest entries. Newest first. */
export const eventsQuery = (jobId: string, enabled: boolean) =>
  infiniteQueryOptions({
    queryKey: [...keys.job(jobId), 'events'],
    queryFn: ({ signal, pageParam }) =>
      unwrap(
        client.GET('/v1/fine_tuning/jobs/{job_id}/events', {
          params: {
            path: { job_id: jobId },
            query: { limit: EVENTS_PAGE, ...(pageParam !== '' && { after: pageParam }) },
          },
          signal,
        }),
      ),
    initialPageParam: '',
    getNextPageParam: (last) => (last.has_more ? last.data.at(-1)?.id : undefined),
    enabled,
  });

export const checkpointsQuery = (jobId: string, enabled: boolean) =>
  infiniteQueryOptions({
    queryKey: [...keys.job(jobId), 'checkpoints'],
    queryFn: ({ signal, pageParam }) =>
      unwrap(
        client.GET('/v1/fine_tuning/jobs/{job_id}/checkpoints', {
          params: { path: { job_id: jobId }, query: { limit: PAGE, ...(pageParam !== '' && { after: pageParam }) } },
          signal,
        }),
      ),
    initialPageParam: '',
    getNextPageParam: (last) => (last.has_more ? last.data.at(-1)?.id : undefined),
    enabled,
  });

/** Memory, steps and time of a job that is not submitted; null asks nothing. */
export const planQuery = (body: JobBody | null) =>
  queryOptions({
    queryKey: ['plan', body],
    queryFn: ({ signal }) =>
      unwrap(client.POST('/api/v1/plan', { body: body ?? { model: '', training_file: '' }, signal })),
    enabled: body !== null,
    retry: false,
  });

export const createJob = (body: JobBody) => unwrap(client.POST('/v1/fine_tuning/jobs', { body }));

export const cancelJob = (jobId: string) =>
  unwrap(client.POST('/v1/fine_tuning/jobs/{job_id}/cancel', { params: { path: { job_id: jobId } } }));

export const pauseJob = (jobId: string) =>
  unwrap(client.POST('/v1/fine_tuning/jobs/{job_id}/pause', { params: { path: { job_id: jobId } } }));

export const resumeJob = (jobId: string) =>
  unwrap(client.POST('/v1/fine_tuning/jobs/{job_id}/resume', { params: { path: { job_id: jobId } } }));

/** Asking twice for the same attempt ends it once. */
export const restartJob = (jobId: string, attempt: number | undefined) =>
  unwrap(
    client.POST('/v1/fine_tuning/jobs/{job_id}/restart', {
      params: { path: { job_id: jobId } },
      body: { ...(attempt !== undefined && { attempt }) },
    }),
  );
