const path = (...parts: readonly string[]): string => `/${parts.map(encodeURIComponent).join('/')}`;
const withQuery = (base: string, query: Readonly<Record<string, string | undefined>>): string => {
  const text = new URLSearchParams(
    Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined),
  ).toString();
  return text === '' ? base : `${base}?${text}`;
};

/** Every address of the dashboard; no other file writes one. */
export const routes = {
  signIn: (next?: string): string => withQuery('/sign-in', { next }),
  jobs: (): string => '/jobs',
  newJob: (query: { model?: string; file?: string; from?: string } = {}): string => withQuery('/jobs/new', query),
  job: (jobId: string): string => path('jobs', jobId),
  files: (): string => '/files',
  file: (fileId: string): string => path('files', fileId),
  dataset: (datasetId: string): string => path('datasets', datasetId),
  models: (): string => '/models',
  model: (modelId: string): string => path('models', modelId),
  cluster: (): string => '/cluster',
  playground: (query: { model?: string } = {}): string => withQuery('/playground', query),
};

/** Where to go after signing in: only places of our own, never another site. */
export function safeNext(next: string | null): string {
  return next !== null && /^\/(?![/\\])/.test(next) && !next.startsWith('/sign-in') ? next : routes.jobs();
}

/** The address of the live log of a job's run; the gateway serves it. */
export const jobLogStreamUrl = (jobId: string, after: string | undefined, tailBytes: number): string =>
  withQuery(`/api/v1/jobs/${encodeURIComponent(jobId)}/log/stream`, { after, tail_bytes: String(tailBytes) });

/** The address of a file of an export; the gateway serves it. */
export const exportedFileUrl = (modelId: string, format: string, name: string): string =>
  path('api', 'v1', 'models', modelId, 'exports', format, name);

/** The address of a job's live stream; the gateway serves it. */
export const jobStreamUrl = (jobId: string, lastEventId: number): string =>
  withQuery(`/api/v1/jobs/${encodeURIComponent(jobId)}/stream`, {
    last_event_id: lastEventId > 0 ? String(lastEventId) : undefined,
  });
