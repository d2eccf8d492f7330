import { openAsBlob } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { unwrap, uploadFile } from '@luthier/api-client';
import type { LuthierClient, Schemas } from '@luthier/api-client';

const LOOK_EVERY_MS = 1_000;

/** Asks until `done` says so. @throws Error after `timeoutMs`. */
async function follow<T>(
  look: () => Promise<T>,
  done: (value: T) => boolean,
  timeoutMs: number,
  seen?: (value: T) => void,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await look();
    seen?.(value);
    if (done(value)) return value;
    if (performance.now() > deadline) throw new Error(`gave up waiting after ${Math.round(timeoutMs / 1000)} s`);
    await pause(LOOK_EVERY_MS);
  }
}

/** Imports a base model by its catalogue name and waits for the end, good or bad. */
export async function importBaseModel(client: LuthierClient, name: string): Promise<Schemas['Model']> {
  const asked = await unwrap(client.POST('/api/v1/models', { body: { model: name } }));
  return follow(
    async () => (await unwrap(client.GET('/api/v1/models/{model}', { params: { path: { model: asked.id } } }))).model,
    (model) => model.state !== 'importing',
    15 * 60_000,
  );
}

/** Uploads a file and waits for what the validation says. */
export async function uploadAndValidate(
  client: LuthierClient,
  path: string,
): Promise<{ file: Schemas['OpenAIFile']; report: Schemas['ValidationReport'] }> {
  const file = await uploadFile(client, {
    content: await openAsBlob(path),
    filename: basename(path),
    purpose: 'fine-tune',
  });
  const report = await follow(
    () => unwrap(client.GET('/api/v1/files/{file_id}/validation', { params: { path: { file_id: file.id } } })),
    (validation) => validation.state === 'done',
    10 * 60_000,
  );
  return { file, report };
}

/** Follows a job until `done`. */
export function followJob(
  client: LuthierClient,
  jobId: string,
  done: (job: Schemas['Job']) => boolean,
  seen?: (job: Schemas['Job']) => void,
): Promise<Schemas['Job']> {
  return follow(
    () => unwrap(client.GET('/api/v1/jobs/{job_id}', { params: { path: { job_id: jobId } } })),
    (job) => done(job) || hasEnded(job),
    6 * 60 * 60_000,
    seen,
  );
}

/** A page of jobs with their records, newest first. */
export const newestJobs = async (client: LuthierClient): Promise<Schemas['Job'][]> =>
  (await unwrap(client.GET('/api/v1/jobs', { params: { query: { limit: 50 } } }))).items;

const hasEnded = (job: Schemas['Job']): boolean => ['succeeded', 'failed', 'cancelled'].includes(job.status);

export async function evaluationOf(client: LuthierClient, jobId: string): Promise<Schemas['Evaluation'] | undefined> {
  const { data } = await client.GET('/api/v1/jobs/{job_id}/evaluation', { params: { path: { job_id: jobId } } });
  return data;
}

export async function answer(
  client: LuthierClient,
  model: string,
  question: { system?: string; text: string },
): Promise<string> {
  const system = question.system === undefined ? [] : [{ role: 'system' as const, content: question.system }];
  const completion = await unwrap(
    client.POST('/v1/chat/completions', {
      body: { model, messages: [...system, { role: 'user', content: question.text }], temperature: 0, max_tokens: 64 },
    }),
  );
  return completion.choices[0]?.message.content ?? '';
}
