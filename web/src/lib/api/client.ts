'use client';
import { createClient } from '@luthier/api-client';

// The dashboard lies at the address of the API; the session cookie signs every call.
export const client = createClient({ baseUrl: '' });

/** Keys by thing, so that a change can name what it outdates. */
export const keys = {
  session: ['session'],
  jobs: ['jobs'],
  job: (jobId: string) => ['jobs', jobId],
  files: ['files'],
  models: ['models'],
} as const;

/** How often a list is read again, and how often what is being worked on. */
export const LIST_REFRESH_MS = 5_000;
export const WORK_REFRESH_MS = 1_500;
