import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { unwrap } from '@luthier/api-client';
import { removeHome, tempDir } from '@luthier/testing';
import { demoReport } from '../../services/cli/src/demo/demo-report.js';
import { readStream } from './support/event-stream.js';
import {
  LONG_RUN,
  TINY_MODEL,
  checkpointsOf,
  expectWholeAndSingle,
  politePairs,
  submitJob,
  trainingRows,
  upload,
  validation,
  waitForEnd,
  waitForTraining,
} from './support/jobs.js';
import type { Job } from './support/jobs.js';
import { PlatformProcess } from './support/platform-process.js';

const LUTHIER = fileURLToPath(new URL('../../services/cli/dist/main.js', import.meta.url));

describe('the main job on the platform of one machine', () => {
  let home: string;
  let platform: PlatformProcess;
  let job: Job;
  beforeAll(async () => {
    home = join(await tempDir('e2e'), 'home');
    platform = await PlatformProcess.start({ home });
  });
  afterAll(async () => {
    await platform.stop();
    await removeHome(home);
  });

  it('counts rows before anything is trained', async () => {
    const id = await upload(platform.client, `${trainingRows(3)}not json\n`);
    const report = await validation(platform.client, id);
    expect(report).toMatchObject({ rows: 4, usable_rows: 3, error_count: 1 });
    expect(report.issues).toEqual([expect.objectContaining({ line: 4 })]);
    expect(report.issues[0]?.hint).toBeTruthy();
  });

  it('goes from an upload to a registered, evaluated model with a whole curve', async () => {
    const { id } = await submitJob(platform.client, { steps: 40, heldOut: true });
    job = await waitForEnd(platform.client, id);
    expect(job).toMatchObject({ status: 'succeeded', phase: 'done', error: null });
    expect(job.result?.last_loss).toBeLessThan(job.result?.first_loss ?? 0);
    expect(job.result?.tuned?.perplexity).toBeGreaterThan(1);
    await expectWholeAndSingle(platform.client, job);
    expect((await checkpointsOf(platform.client, id)).map(({ step_number: step }) => step)).toContain(40);

    const evaluation = await unwrap(
      platform.client.GET('/api/v1/jobs/{job_id}/evaluation', { params: { path: { job_id: id } } }),
    );
    expect(evaluation).toMatchObject({ state: 'completed', model_id: job.tuned_model_id, error: null });
    for (const side of [evaluation.base, evaluation.tuned]) {
      expect(Object.values(side ?? {})).toEqual([0, 0, 0, 0].map(() => expect.any(Number)));
    }
    const { model } = await unwrap(
      platform.client.GET('/api/v1/models/{model}', { params: { path: { model: job.tuned_model_id ?? '' } } }),
    );
    expect(model).toMatchObject({ kind: 'tuned', state: 'ready', job_id: id, proof: evaluation.verdict });
  });

  it('goes on from the tuned model by comparing answers, and is compared with it', async () => {
    const { client } = platform;
    const training = await upload(
      client,
      politePairs(['lamp', 'parcel', 'bill', 'key', 'chair', 'order']),
      'pairs.jsonl',
    );
    const heldOut = await upload(client, politePairs(['coat', 'book', 'table']), 'held-out-pairs.jsonl');
    for (const file of [training, heldOut]) await validation(client, file);
    const hyperparameters = { beta: 0.1, n_epochs: 8, batch_size: 6, learning_rate: 2e-3 };
    const files = { training_file: training, validation_file: heldOut };
    const model = job.fine_tuned_model ?? '';
    const method = { type: 'dpo' as const, dpo: { hyperparameters } };
    const { id } = await unwrap(client.POST('/v1/fine_tuning/jobs', { body: { model, ...files, seed: 5, method } }));
    const further = await waitForEnd(client, id);
    expect(further).toMatchObject({ status: 'succeeded', error: null, model, tuning: job.tuning });
    expect(further).toMatchObject({ base_model_id: job.base_model_id });
    // Nothing tells the answers apart before the first step: a coin toss, beside the tuned model, not its base.
    expect(further.result?.first_loss).toBeCloseTo(Math.LN2, 3);
    expect(further.result?.base).toMatchObject({ metrics: { rewardMargin: 0 } });
    expect(further.result?.tuned?.metrics?.['rewardMargin']).toBeGreaterThan(0);
    const evaluation = await unwrap(
      client.GET('/api/v1/jobs/{job_id}/evaluation', { params: { path: { job_id: id } } }),
    );
    expect(evaluation).toMatchObject({ state: 'completed', base_model_id: job.tuned_model_id });
  });

  it('tells its story as events, and as a stream that replays without gap or double', async () => {
    const path = { job_id: job.id };
    const events = await unwrap(platform.client.GET('/v1/fine_tuning/jobs/{job_id}/events', { params: { path } }));
    expect(events.data.length).toBeGreaterThan(3);
    expect(events.data[0]?.message).toBe(job.message);

    const whole = await readStream(platform, job.id);
    const ids = whole.map(({ id }) => id);
    expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b));
    expect(new Set(whole.map(({ event }) => event))).toEqual(new Set(['job', 'event', 'metrics', 'checkpoint']));
    const middle = whole[Math.floor(whole.length / 2)]?.id ?? 0;
    expect(await readStream(platform, job.id, { after: middle })).toEqual(whole.filter(({ id }) => id > middle));
  });

  it('streams a job that is still training, and goes on where a lost connection ended', async () => {
    const { id } = await submitJob(platform.client, LONG_RUN);
    await waitForTraining(platform.client, id);
    const first = await readStream(platform, id, { enough: (entries) => entries.length > 5 });
    const rest = await readStream(platform, id, { after: first.at(-1)?.id ?? 0 });
    expect([...first, ...rest]).toEqual(await readStream(platform, id));
  });

  it.each(['base', 'tuned'] as const)('answers a question with the %s model', async (side) => {
    const completion = await unwrap(
      platform.client.POST('/v1/chat/completions', {
        body: {
          model: side === 'base' ? TINY_MODEL : (job.fine_tuned_model ?? ''),
          messages: [{ role: 'user', content: 'What is the number after 3?' }],
          temperature: 0,
          max_tokens: 16,
        },
      }),
    );
    expect(completion.choices[0]?.message.content).toEqual(expect.any(String));
    expect(completion.usage.completion_tokens).toBeGreaterThan(0);
  });

  it('keeps key and data over a restart, readable by their owner only, and takes another port than a taken one', async () => {
    for (const name of ['api-key', 'secrets.json']) expect((await stat(join(home, name))).mode & 0o777).toBe(0o600);
    expect((await stat(home)).mode & 0o777).toBe(0o700);
    const secrets = await readFile(join(home, 'secrets.json'), 'utf8');
    const { apiKey } = platform;
    await platform.stop();

    const somebody = createServer();
    await new Promise<void>((resolve) => somebody.listen(0, '127.0.0.1', resolve));
    const address = somebody.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    platform = await PlatformProcess.start({ home, port });
    somebody.close();
    expect(platform.said()).toContain(`port ${port} is in use`);
    expect(new URL(platform.url).port).not.toBe(String(port));
    expect(platform.apiKey).toBe(apiKey);
    expect(await readFile(join(home, 'secrets.json'), 'utf8')).toBe(secrets);
    const models = await unwrap(platform.client.GET('/v1/models'));
    expect(models.data.map(({ id }) => id)).toContain(job.fine_tuned_model);
    expect(await waitForEnd(platform.client, job.id)).toEqual(job);
  });
});

describe('luthier demo', () => {
  it('--once --json ends by itself with a report in which every score is measured', async () => {
    const home = join(await tempDir('e2e-demo'), 'home');
    const file = join(home, '..', 'report.json');
    const args = [LUTHIER, 'demo', '--once', '--json', file, '--model', TINY_MODEL, '--home', home, '--port', '0'];
    try {
      const { stdout } = await promisify(execFile)(process.execPath, args, {
        timeout: 150_000,
        env: { PATH: process.env['PATH'], HOME: process.env['HOME'] },
      });
      const report = demoReport.parse(JSON.parse(await readFile(file, 'utf8')));
      for (const side of [report.base, report.tuned]) expect(Object.values(side)).not.toContain(null);
      expect(report).toMatchObject({ baseModel: TINY_MODEL, job: { status: 'succeeded' } });
      expect(report.general).not.toBeNull();
      expect(report.refusals?.total).toBe(8);
      expect(report.job.steps).toBeGreaterThan(50);
      expect(report.job.lastLoss).toBeLessThan(report.job.firstLoss);
      expect(Object.keys(report.timings)).toEqual(
        expect.arrayContaining([
          'tools',
          'platform',
          'import',
          'upload',
          'plan',
          'train',
          'register',
          'evaluate',
          'ask',
        ]),
      );
      expect(stdout).toContain('model registered');
    } finally {
      await removeHome(home);
    }
  });
});
