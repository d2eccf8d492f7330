import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { removeHome, tempDir } from '@luthier/testing';
import { TINY_MODEL, submitJob, trainingRows, upload, validation, waitForEnd } from './support/jobs.js';
import { PlatformProcess } from './support/platform-process.js';

interface OpenAIError {
  error: { message: string; type: string; param: string | null; code: string | null };
}

interface Answer {
  status: number;
  /** Of what was made. */
  id: string;
  error: OpenAIError['error'];
}

describe('bad input through the API', () => {
  let home: string;
  let platform: PlatformProcess;
  let trainingFile: string;
  beforeAll(async () => {
    home = join(await tempDir('e2e-bad'), 'home');
    platform = await PlatformProcess.start({ home });
    trainingFile = await upload(platform.client, trainingRows(8));
    await validation(platform.client, trainingFile);
  });
  afterAll(async () => {
    await platform.stop();
    await removeHome(home);
  });

  const post = async (path: string, body: string, key?: string): Promise<Answer> => {
    const response = await platform.get(path, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', ...(key !== undefined && { authorization: `Bearer ${key}` }) },
    });
    const answer = (await response.json()) as OpenAIError & { id: string };
    return { status: response.status, id: answer.id, error: answer.error };
  };
  const postJob = (over: object): ReturnType<typeof post> =>
    post('/v1/fine_tuning/jobs', JSON.stringify({ model: TINY_MODEL, training_file: trainingFile, ...over }));
  const hyperparameters = (values: object): object => ({
    method: { type: 'supervised', supervised: { hyperparameters: values } },
  });

  it('fails a job over a file without a usable row at validation, with the reason', async () => {
    const file = await upload(platform.client, 'not json\n{"instruction": "no answer"}\n');
    const report = await validation(platform.client, file);
    expect(report).toMatchObject({ usable_rows: 0, error_count: 2 });
    expect(report.issues.map(({ line }) => line)).toEqual([1, 2]);
    const { id } = await postJob({ training_file: file });
    const job = await waitForEnd(platform.client, id);
    expect(job).toMatchObject({
      status: 'failed',
      phase: 'validating',
      run_id: null,
      error: { code: 'file.unusable' },
    });
    expect(job.error?.hint).toBeTruthy();
  });

  it.each([
    ['an unknown model', { model: 'no-such-model' }, 404, 'model.not-found', 'model'],
    ['an unknown file', { training_file: 'file-aaaaaaaaaaaaaaaaaaaa' }, 404, 'file.not-found', 'training_file'],
    ['an epoch too many', hyperparameters({ n_epochs: 10_000 }), 400, 'request.invalid', 'n_epochs'],
    ['a negative rate', hyperparameters({ learning_rate: -1 }), 400, 'request.invalid', 'learning_rate'],
    ['a batch that is a word', hyperparameters({ batch_size: 'large' }), 400, 'request.invalid', 'batch_size'],
    ['a seed that is no number', { seed: 'x' }, 400, 'request.invalid', 'seed'],
    ['an unknown key in our own object', { tuning: { type: 'lora', rank: 3 } }, 400, 'request.invalid', 'tuning'],
  ])('refuses %s, and names the field', async (_what, over, wantedStatus, code, param) => {
    const { status, error } = await postJob(over);
    expect({ status, code: error.code }).toEqual({ status: wantedStatus, code });
    expect(error.param).toContain(param);
    expect(error.message).toBeTruthy();
    expect(error.type).toBe(wantedStatus === 404 ? 'not_found_error' : 'invalid_request_error');
  });

  it('refuses a method that does not fit the file, or that no runtime here knows, and says what would do', async () => {
    const dpo = { method: { type: 'dpo' } };
    expect(await postJob(dpo)).toMatchObject({
      status: 400,
      error: { code: 'file.wrong-rows', param: 'training_file' },
    });
    const pairs = await upload(platform.client, '{"prompt":"q","chosen":"good","rejected":"bad"}\n', 'pairs.jsonl');
    expect(await validation(platform.client, pairs)).toMatchObject({ row_kind: 'pairs', usable_rows: 1 });
    const { status, error } = await postJob({ method: { type: 'reward' }, training_file: pairs });
    expect({ status, code: error.code, param: error.param }).toEqual({
      ...{ status: 400, code: 'model.unsupported', param: 'method.type' },
    });
    expect(error.message).toContain('supervised, pretrain, dpo');
  });

  it('reads on in plain text, and claims nothing of answers where none were asked for', async () => {
    const text = (words: string): string => `${JSON.stringify({ text: words })}\n`;
    const training = await upload(platform.client, text('The lamp is lit. '.repeat(40)), 'text.jsonl');
    const heldOut = await upload(platform.client, text('The lamp is lit. '), 'held-out.jsonl');
    const hyperparameters = { n_epochs: 20, batch_size: 2, learning_rate: 5e-3 };
    const { id } = await postJob({
      ...{ training_file: training, validation_file: heldOut, cutoff_length: 64 },
      method: { type: 'pretrain', pretrain: { hyperparameters } },
    });
    const job = await waitForEnd(platform.client, id);
    expect(job).toMatchObject({ status: 'succeeded', error: null });
    expect(job.result?.tuned?.perplexity).toBeLessThan(job.result?.base?.perplexity ?? 0);
    const params = { path: { job_id: id } };
    const { data: evaluation } = await platform.client.GET('/api/v1/jobs/{job_id}/evaluation', { params });
    expect(evaluation).toMatchObject({ state: 'completed', verdict: 'not-shown', samples: [] });
    expect(evaluation?.verdict_reason).toContain('ask nothing');
  });

  it('refuses a body that is no JSON, or too large', async () => {
    expect(await post('/v1/fine_tuning/jobs', '{"model":')).toMatchObject({
      status: 400,
      error: { code: 'request.invalid', type: 'invalid_request_error' },
    });
    const large = JSON.stringify({ model: 'x'.repeat(11 * 1024 * 1024) });
    expect(await post('/v1/fine_tuning/jobs', large)).toMatchObject({
      status: 413,
      error: { code: 'request.too-large', param: null },
    });
  });

  it('refuses a wrong key and a missing one', async () => {
    expect(await post('/v1/fine_tuning/jobs', '{}', 'lk-wrong')).toMatchObject({
      status: 401,
      error: { code: 'auth.wrong-key' },
    });
    const response = await fetch(`${platform.url}/v1/models`);
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: { code: 'auth.missing', message: expect.any(String) } });
  });

  it('answers for unknown things with 404 in the shape of its API, and works on', async () => {
    const job = await platform.get('/v1/fine_tuning/jobs/ftjob-aaaaaaaaaaaaaaaaaaaa');
    expect([job.status, await job.json()]).toEqual([
      404,
      { error: expect.objectContaining({ code: 'job.not-found', type: 'not_found_error' }) },
    ]);
    const problem = await platform.get('/api/v1/jobs/ftjob-aaaaaaaaaaaaaaaaaaaa');
    expect(problem.headers.get('content-type')).toContain('application/problem+json');
    const { id } = await submitJob(platform.client, { steps: 5, rows: 8 });
    expect(await waitForEnd(platform.client, id)).toMatchObject({ status: 'succeeded' });
  });
});
