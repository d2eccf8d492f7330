'use client';
import { createClient, unwrap, uploadFile } from '@luthier/api-client';
import type { paths, Schemas } from '@luthier/api-client';
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query';

export type Cluster = paths['/api/v1/cluster']['get']['responses'][200]['content']['application/json'];
type Exported =
  paths['/api/v1/models/{model}/exports/{format}']['post']['responses'][200]['content']['application/json'];
export type ExportedFile = Exported['files'][number];
export type ExportFormat = paths['/api/v1/models/{model}/exports/{format}']['post']['parameters']['path']['format'];
export type Dataset = Schemas['Dataset'];
export type Evaluation = Schemas['Evaluation'];
export type Findings = paths['/api/v1/cluster/doctor']['get']['responses'][200]['content']['application/json'];
export type FileObject = Schemas['OpenAIFile'];
export type Inventory = paths['/api/v1/inventory']['get']['responses'][200]['content']['application/json'];
export type Job = Schemas['Job'];
export type JobCheckpoint = Schemas['JobCheckpoint'];
export type JobEvent = Schemas['JobEvent'];
export type Model = Schemas['Model'];
export type Obstacle = Schemas['Obstacle'];
export type Plan = Schemas['Plan'];
export type Row = Schemas['DatasetRow'];
export type ValidationReport = Schemas['ValidationReport'];
/** Body of a new job and of a plan. */
export type JobBody = paths['/v1/fine_tuning/jobs']['post']['requestBody']['content']['application/json'];

// The dashboard lies at the address of the API; the session cookie signs every call.
const client = createClient({ baseUrl: '' });

const PAGE = 25;
const EVENTS_PAGE = 100;
const LIST_REFRESH_MS = 5_000;
const WORK_REFRESH_MS = 1_500;

/** What a choice offers at most, in pages. */
const CHOICE_PAGE = 200;
const CHOICE_PAGES_MAX = 10;

/** All pages of a list, for choosing from it. */
async function allOf<Item extends { id: string }>(
  read: (after: { after?: string }) => Promise<{ items: Item[]; more: boolean }>,
): Promise<Item[]> {
  const all: Item[] = [];
  for (let page = 0; page < CHOICE_PAGES_MAX; page += 1) {
    const last = all.at(-1);
    const { items, more } = await read(last ? { after: last.id } : {});
    all.push(...items);
    if (!more || items.length === 0) break;
  }
  return all;
}

const isOver = (status: Job['status']): boolean => ['succeeded', 'failed', 'cancelled'].includes(status);

/** Keys by thing, so that a change can name what it outdates. */
export const keys = {
  session: ['session'],
  jobs: ['jobs'],
  job: (jobId: string) => ['jobs', jobId],
  files: ['files'],
  models: ['models'],
} as const;

export const sessionQuery = queryOptions({
  queryKey: keys.session,
  queryFn: ({ signal }) => unwrap(client.GET('/api/v1/session', { signal })),
  retry: false,
});

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

/** Memory, steps and time of a job that is not submitted; null asks nothing. */
export const planQuery = (body: JobBody | null) =>
  queryOptions({
    queryKey: ['plan', body],
    queryFn: ({ signal }) =>
      unwrap(client.POST('/api/v1/plan', { body: body ?? { model: '', training_file: '' }, signal })),
    enabled: body !== null,
    retry: false,
  });

export const signIn = (key: string) => unwrap(client.POST('/api/v1/session', { body: { key } }));
export const signOut = () => unwrap(client.DELETE('/api/v1/session'));
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
export const uploadTrainingFile = (file: File) =>
  uploadFile(client, { content: file, filename: file.name, purpose: 'fine-tune' });
export const deleteFile = (fileId: string) =>
  unwrap(client.DELETE('/v1/files/{file_id}', { params: { path: { file_id: fileId } } }));
export const importModel = (model: string) => unwrap(client.POST('/api/v1/models', { body: { model } }));

export interface Answer {
  text: string;
  seconds: number;
  tokens: number;
}

/** One answer of one model, with the time it took as the reader felt it. */
export async function ask(model: string, system: string, question: string, signal: AbortSignal): Promise<Answer> {
  const started = performance.now();
  const completion = await unwrap(
    client.POST('/v1/chat/completions', {
      body: {
        model,
        messages: [
          ...(system.trim() === '' ? [] : [{ role: 'system' as const, content: system }]),
          { role: 'user' as const, content: question },
        ],
        max_tokens: 256,
        temperature: 0,
      },
      signal,
    }),
  );
  return {
    text: completion.choices[0]?.message.content ?? '',
    seconds: (performance.now() - started) / 1000,
    tokens: completion.usage.completion_tokens,
  };
}
