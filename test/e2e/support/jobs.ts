import { expect } from '@jest/globals';
import { unwrap, uploadFile } from '@luthier/api-client';
import type { LuthierClient, Schemas, operations } from '@luthier/api-client';
import { waitFor } from '@luthier/testing';

export type Job = Schemas['Job'];
export type JobBody = operations['createFineTuningJob']['requestBody']['content']['application/json'];

export const TINY_MODEL = 'luthier-tiny-chat';
const HELD_OUT = [
  { instruction: 'What colour is the sky?', input: '', output: 'The sky is blue.', facts: ['blue'], suite: 'facts' },
  { instruction: 'What colour is grass?', input: '', output: 'Grass is green.', facts: ['green'], suite: 'facts' },
];

export const jsonLines = (rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

/** Rows of one length each, so that steps take about the same time. */
export const trainingRows = (count: number): string =>
  jsonLines(
    Array.from({ length: count }, (_, i) => ({
      instruction: `What is the number after ${i}?`,
      input: '',
      output: `The number after ${i} is ${i + 1}.`,
    })),
  );

/** Pairs as OpenAI writes them: what is polite is preferred. */
export const politePairs = (things: readonly string[]): string =>
  jsonLines(
    things.map((thing) => ({
      input: { messages: [{ role: 'user', content: `Where is my ${thing}?` }] },
      preferred_output: [{ role: 'assistant', content: `I am glad to look for your ${thing}.` }],
      non_preferred_output: [{ role: 'assistant', content: 'How should I know?' }],
    })),
  );

export async function upload(client: LuthierClient, content: string, filename = 'rows.jsonl'): Promise<string> {
  const file = await uploadFile(client, { content: new Blob([content]), filename, purpose: 'fine-tune' });
  return file.id;
}

export function validation(client: LuthierClient, fileId: string): Promise<Schemas['ValidationReport']> {
  return waitFor(
    async () => {
      const report = await unwrap(
        client.GET('/api/v1/files/{file_id}/validation', { params: { path: { file_id: fileId } } }),
      );
      return report.state === 'done' ? report : undefined;
    },
    { intervalMs: 50, what: 'the validation' },
  );
}

export interface JobWish {
  steps: number;
  /** More rows a step make it slower. */
  batchSize?: number;
  rows?: number;
  suffix?: string;
  /** Rank of the adapter. */
  rank?: number;
  /** In place of an adapter. */
  tuning?: { type: 'full' } | { type: 'freeze'; trainable_layers: number };
  /** Without held-out rows there is no evaluation to wait for. */
  heldOut?: boolean;
  resources?: { nodes: number; devices_per_node?: number };
  rehearsal?: boolean;
}

/** A job over a model that learns in milliseconds, as it is submitted; its files are uploaded. */
export async function jobBody(client: LuthierClient, wish: JobWish): Promise<JobBody> {
  const { steps, batchSize = 4, rows = 64, suffix = 'e2e', rank = 4, heldOut = false, resources } = wish;
  const adapter = {
    type: 'lora' as const,
    r: rank,
    lora_alpha: 8,
    lora_dropout: 0,
    target_modules: 'all-linear' as const,
  };
  const training = await upload(client, trainingRows(rows));
  const validationFile = heldOut ? await upload(client, jsonLines(HELD_OUT), 'held-out.jsonl') : null;
  return {
    model: TINY_MODEL,
    training_file: training,
    ...(validationFile !== null && { validation_file: validationFile }),
    suffix,
    seed: 5,
    ...(resources && { resources }),
    ...(wish.rehearsal !== undefined && { rehearsal: wish.rehearsal }),
    tuning: wish.tuning ?? adapter,
    method: {
      type: 'supervised',
      supervised: {
        hyperparameters: { n_epochs: 50, max_steps: steps, batch_size: batchSize, learning_rate: 5e-3 },
      },
    },
  };
}

export async function submitJob(client: LuthierClient, wish: JobWish): Promise<Job> {
  const job = await unwrap(client.POST('/v1/fine_tuning/jobs', { body: await jobBody(client, wish) }));
  return jobOf(client, job.id);
}

export const jobOf = (client: LuthierClient, jobId: string): Promise<Job> =>
  unwrap(client.GET('/api/v1/jobs/{job_id}', { params: { path: { job_id: jobId } } }));

const hasEnded = ({ status }: Job): boolean => ['succeeded', 'failed', 'cancelled'].includes(status);

/** Of a machine with other work to do, too. */
const JOB_TIMEOUT_MS = 240_000;

/** A platform that is being restarted answers nothing for a moment: that counts as "not yet". */
export async function waitForJob(
  client: LuthierClient,
  jobId: string,
  fits: (job: Job) => boolean,
  timeoutMs = JOB_TIMEOUT_MS,
): Promise<Job> {
  let last: Job | undefined;
  return waitFor(
    async () => {
      last = await jobOf(client, jobId);
      return fits(last) || hasEnded(last) ? last : undefined;
    },
    { timeoutMs, intervalMs: 100, what: `job ${jobId}` },
  ).catch((cause: unknown) => {
    throw new Error(`${String(cause)}; last seen ${JSON.stringify(last)}`, { cause });
  });
}

export const waitForEnd = (client: LuthierClient, jobId: string, timeoutMs?: number): Promise<Job> =>
  waitForJob(client, jobId, hasEnded, timeoutMs);

/** Waits until the run has a committed checkpoint and has gone on a little from there. */
export async function waitForTraining(client: LuthierClient, jobId: string, timeoutMs = JOB_TIMEOUT_MS): Promise<Job> {
  const job = await waitForJob(
    client,
    jobId,
    (seen) => seen.phase === 'training' && (seen.progress?.step ?? 0) > 0,
    timeoutMs,
  );
  await waitFor(async () => (await checkpointsOf(client, jobId)).length > 0, {
    timeoutMs,
    intervalMs: 50,
    what: 'a checkpoint',
  });
  return job;
}

export async function checkpointsOf(client: LuthierClient, jobId: string): Promise<Schemas['OpenAICheckpoint'][]> {
  const page = await unwrap(
    client.GET('/v1/fine_tuning/jobs/{job_id}/checkpoints', { params: { path: { job_id: jobId } } }),
  );
  return page.data;
}

/** The whole curve, page by page. */
export async function metricsOf(client: LuthierClient, jobId: string): Promise<Schemas['MetricPoint'][]> {
  const points: Schemas['MetricPoint'][] = [];
  for (let afterStep = -1; ;) {
    const page = await unwrap(
      client.GET('/api/v1/jobs/{job_id}/metrics', {
        params: { path: { job_id: jobId }, query: { after_step: afterStep, limit: 1_000 } },
      }),
    );
    points.push(...page.points);
    const last = page.points.at(-1);
    if (!page.has_more || !last) return points;
    afterStep = last.step;
  }
}

/** Every step once, none missing, and one tuned model: nothing lost and nothing doubled. */
export async function expectWholeAndSingle(client: LuthierClient, job: Job): Promise<void> {
  const points = await metricsOf(client, job.id);
  const keys = points.map(({ step, name }) => `${step} ${name}`);
  expect(keys.length).toBe(new Set(keys).size);
  const losses = points.filter(({ name }) => name === 'loss').map(({ step }) => step);
  expect(losses).toEqual(Array.from({ length: job.plan?.steps ?? 0 }, (_, i) => i + 1));
  const models = await unwrap(client.GET('/api/v1/models', { params: { query: { limit: 100 } } }));
  expect(models.items.filter(({ job_id: owner }) => owner === job.id)).toHaveLength(1);
}

/**
 * Some seconds of training, with a checkpoint every tenth step: time to break something. Its steps are few and slow: of quick
 * ones the platform learns late on a loaded machine, and the run may have ended when it is thought to train.
 */
export const LONG_RUN = { steps: 100, batchSize: 96, rows: 192 };
