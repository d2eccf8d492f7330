import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { unwrap } from '@luthier/api-client';
import { openSafetensors } from '@luthier/formats';
import { removeHome, tempDir, waitFor } from '@luthier/testing';
import {
  TINY_MODEL,
  expectWholeAndSingle,
  jsonLines,
  metricsOf,
  politePairs,
  submitJob,
  upload,
  validation,
  waitForEnd,
} from '../e2e/support/jobs.js';
import { PlatformProcess } from '../e2e/support/platform-process.js';
import { describeWithTorch } from './torch-environment.js';

const TIMEOUT_MS = 300_000;

describeWithTorch('a job at home', () => {
  let home: string;
  let platform: PlatformProcess;
  beforeAll(async () => {
    home = join(await tempDir('torch-e2e'), 'home');
    platform = await PlatformProcess.start({ home, env: { LUTHIER_LOCAL_RUNTIME: 'torch' } });
  }, TIMEOUT_MS);
  afterAll(async () => {
    await platform.stop();
    await removeHome(home);
  }, TIMEOUT_MS);

  it(
    'is rehearsed and trained by PyTorch, from an upload to a registered and evaluated model',
    async () => {
      const { profiles } = await unwrap(platform.client.GET('/api/v1/inventory'));
      expect(profiles.map(({ runtime }) => runtime)).toEqual(['runtime-torch']);
      const { id } = await submitJob(platform.client, { steps: 20, heldOut: true, rehearsal: true });
      const job = await waitForEnd(platform.client, id, TIMEOUT_MS);
      expect(job).toMatchObject({ status: 'succeeded', phase: 'done', error: null });
      expect(job).toMatchObject({ rehearsal: { state: 'done' }, attempts: [{ attempt: 1 }] });
      expect(job.plan?.measured?.memory_mib).toBeGreaterThan(100);
      expect(job.plan?.total_mib).toBe(Math.ceil(job.plan?.measured?.memory_mib ?? 0));
      expect(job.result?.last_loss).toBeLessThan(job.result?.first_loss ?? 0);
      expect(job.result?.tuned?.perplexity).toBeGreaterThan(1);
      await expectWholeAndSingle(platform.client, job);
    },
    TIMEOUT_MS,
  );

  it(
    'learns from uploaded pairs by DPO, and scores base and tuned on held-out ones',
    async () => {
      const { client } = platform;
      const things = ['lamp', 'parcel', 'bill', 'key', 'chair', 'order', 'shade', 'cable', 'refund', 'letter'];
      const training = await upload(client, politePairs(things), 'pairs.jsonl');
      const heldOut = await upload(client, politePairs(['coat', 'book', 'table']), 'held-out.jsonl');
      expect(await validation(client, training)).toMatchObject({ row_kind: 'pairs', usable_rows: 10, error_count: 0 });
      await validation(client, heldOut);
      const body = { model: TINY_MODEL, training_file: training, validation_file: heldOut, seed: 5 };
      const refused = await client.POST('/v1/fine_tuning/jobs', { body });
      expect(refused.error).toMatchObject({ error: { code: 'file.wrong-rows', param: 'training_file' } });
      const hyperparameters = { beta: 0.1, n_epochs: 6, batch_size: 5, learning_rate: 2e-3 };
      const created = await unwrap(
        client.POST('/v1/fine_tuning/jobs', { body: { ...body, method: { type: 'dpo', dpo: { hyperparameters } } } }),
      );
      const job = await waitForEnd(client, created.id, TIMEOUT_MS);
      expect(job).toMatchObject({ status: 'succeeded', error: null, plan: { steps: 12 }, method: { type: 'dpo' } });
      // Nothing tells the answers apart before the first step: a coin toss.
      expect(job.result?.first_loss).toBeCloseTo(Math.LN2, 3);
      expect(job.result?.last_loss).toBeLessThan(Math.LN2);
      expect(job.result?.base).toMatchObject({ rows: 6, metrics: { rewardAccuracy: 0, rewardMargin: 0 } });
      expect(job.result?.tuned?.metrics).toMatchObject({ rewardAccuracy: 1 });
      expect(job.result?.tuned?.metrics?.['rewardMargin']).toBeGreaterThan(0);
      const names = new Set((await metricsOf(client, job.id)).map(({ name }) => name));
      for (const name of ['rewardAccuracy', 'rewardMargin']) expect(names).toContain(name);
      await expectWholeAndSingle(client, job);
      const evaluation = await unwrap(
        client.GET('/api/v1/jobs/{job_id}/evaluation', { params: { path: { job_id: job.id } } }),
      );
      expect(evaluation).toMatchObject({ state: 'completed', verdict: 'not-shown' });
      expect(evaluation.samples[0]).toMatchObject({ expected: 'I am glad to look for your coat.' });
    },
    TIMEOUT_MS,
  );

  /** Single answers, each liked or not. */
  const ratings = (things: readonly string[]): string =>
    jsonLines(
      things.map((thing, i) => ({
        messages: [
          { role: 'user', content: `Where is my ${thing}?` },
          { role: 'assistant', content: i % 2 === 0 ? `I am glad to look for your ${thing}.` : 'How should I know?' },
        ],
        label: i % 2 === 0,
      })),
    );

  it.each([
    { type: 'orpo', rowsOf: politePairs },
    { type: 'simpo', rowsOf: politePairs },
    { type: 'kto', rowsOf: ratings },
  ] as const)(
    'learns from uploaded comparisons by $type, and is further from what was rejected afterwards',
    async ({ type, rowsOf }) => {
      const { client } = platform;
      const training = await upload(client, rowsOf(['lamp', 'parcel', 'bill', 'key']), `${type}.jsonl`);
      const heldOut = await upload(client, rowsOf(['coat', 'book']), `${type}-held-out.jsonl`);
      for (const file of [training, heldOut]) await validation(client, file);
      const settings = { hyperparameters: { n_epochs: 4, batch_size: 4, learning_rate: 2e-3 } };
      const method = { type, [type]: settings };
      const files = { training_file: training, validation_file: heldOut };
      const created = await unwrap(
        client.POST('/v1/fine_tuning/jobs', { body: { model: TINY_MODEL, ...files, seed: 5, method } }),
      );
      const job = await waitForEnd(client, created.id, TIMEOUT_MS);
      expect(job).toMatchObject({ status: 'succeeded', error: null, plan: { steps: 4 }, method: { type } });
      const { base, tuned } = job.result ?? {};
      expect(tuned?.loss).toBeLessThan(base?.loss ?? 0);
      expect(tuned?.metrics?.['rewardMargin']).toBeGreaterThan(base?.metrics?.['rewardMargin'] ?? Infinity);
      await expectWholeAndSingle(client, job);
    },
    TIMEOUT_MS,
  );

  it(
    'trains all weights into a whole model, whose own answers are served',
    async () => {
      const { client } = platform;
      const tuning = { type: 'full' } as const;
      const { id } = await submitJob(client, { steps: 30, heldOut: true, tuning });
      const job = await waitForEnd(client, id, TIMEOUT_MS);
      expect(job).toMatchObject({ status: 'succeeded', phase: 'done', error: null, tuning });
      expect(job.result?.last_loss).toBeLessThan(job.result?.first_loss ?? 0);
      await expectWholeAndSingle(client, job);
      const path = { model: job.tuned_model_id ?? '' };
      const { model, base } = await unwrap(client.GET('/api/v1/models/{model}', { params: { path } }));
      if (model.files?.form !== 'whole' || base?.files?.form !== 'whole') throw new Error('both are whole');
      expect(model).toMatchObject({ kind: 'tuned', state: 'ready', base_model_id: base.id });
      expect(model.size_bytes).toBeGreaterThan(model.shape?.parameters ?? Infinity);

      // Everything has moved, and what was registered is what answers.
      const [before, after] = await Promise.all([base.files, model.files].map(weightsOf));
      expect([...(after?.keys() ?? [])].toSorted()).toEqual([...(before?.keys() ?? [])].toSorted());
      for (const [name, weight] of after ?? [])
        expect({ name, same: before?.get(name)?.equals(weight) }).toEqual({ name, same: false });
      const messages = [{ role: 'user' as const, content: 'What is the number after 3?' }];
      const answerOf = async (name: string): Promise<string | null | undefined> => {
        const body = { model: name, messages, temperature: 0, max_tokens: 24 };
        return (await unwrap(client.POST('/v1/chat/completions', { body }))).choices[0]?.message.content;
      };
      const tuned = await answerOf(job.fine_tuned_model ?? '');
      expect(tuned).not.toBe(await answerOf(TINY_MODEL));
      expect(await answerOf(job.fine_tuned_model ?? '')).toBe(tuned);
      const served = await readdir(join(home, 'work/inference/gguf'));
      expect(served).toContainEqual(expect.stringContaining(model.files.weights.sha256));
      const exported = { ...path, format: 'gguf' as const };
      const made = await waitFor(
        async () => {
          const answer = await unwrap(
            client.POST('/api/v1/models/{model}/exports/{format}', { params: { path: exported } }),
          );
          return answer.state === 'ready' ? answer : undefined;
        },
        { what: 'the export' },
      );
      const [file] = made.files;
      const { data } = await client.GET('/api/v1/models/{model}/exports/{format}/{file}', {
        params: { path: { ...exported, file: file?.name ?? '' } },
        parseAs: 'arrayBuffer',
      });
      const bytes = Buffer.from(data as ArrayBuffer);
      expect(bytes.subarray(0, 4).toString()).toBe('GGUF');
      expect(bytes.length).toBe(file?.size_bytes);
    },
    TIMEOUT_MS,
  );

  /** The bytes of each tensor in float32, by name. */
  async function weightsOf({ weights }: { weights: { uri: string } }): Promise<Map<string, Buffer>> {
    const folder = weights.uri.replace('artifact://', '');
    const file = await openSafetensors(join(home, 'artifacts', folder, 'model.safetensors'));
    const read = [...file.tensors.keys()].map(
      async (name) => [name, Buffer.from((await file.readFloat32(name)).buffer)] as const,
    );
    return new Map(await Promise.all(read));
  }

  it(
    'learns by GRPO, under the name that OpenAI has for it, from what a grader says of its answers to uploaded prompts',
    async () => {
      const { client } = platform;
      const prompts = (things: readonly string[]): string =>
        jsonLines(things.map((thing) => ({ messages: [{ role: 'user', content: `${thing}?` }], wanted: 'eeeeee' })));
      const training = await upload(client, prompts(['lamp', 'parcel', 'bill', 'key']), 'prompts.jsonl');
      const heldOut = await upload(client, prompts(['coat', 'book']), 'prompts-held-out.jsonl');
      for (const file of [training, heldOut])
        expect(await validation(client, file)).toMatchObject({ row_kind: 'prompts', item_fields: ['wanted'] });
      const grader = {
        ...{ type: 'text_similarity' as const, name: 'like', evaluation_metric: 'fuzzy_match' as const },
        ...{ input: '{{sample.output_text}}', reference: '{{item.wanted}}' },
      };
      const sampling = { num_generations: 6, max_completion_length: 8 };
      const hyperparameters = { n_epochs: 12, batch_size: 4, learning_rate: 2e-2, ...sampling };
      const files = { training_file: training, validation_file: heldOut };
      const asked = (wanted: object) => {
        const method = {
          type: 'reinforcement' as const,
          reinforcement: { grader: { ...grader, ...wanted }, hyperparameters },
        };
        return client.POST('/v1/fine_tuning/jobs', { body: { model: TINY_MODEL, ...files, seed: 5, method } });
      };
      const { error } = await asked({ reference: '{{item.answer}}' });
      expect(error).toMatchObject({ error: { code: 'request.invalid', param: 'method.grpo.grader' } });
      const created = await unwrap(asked({}));
      expect(created).toMatchObject({ method: { type: 'reinforcement' } });
      const job = await waitForEnd(client, created.id, TIMEOUT_MS);
      expect(job).toMatchObject({ status: 'succeeded', error: null, method: { type: 'grpo' }, plan: { steps: 12 } });
      const points = await metricsOf(client, job.id);
      const rewards = points.filter(({ name }) => name === 'rewardMean').map(({ value }) => value);
      expect(rewards).toHaveLength(12);
      const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
      expect(mean(rewards.slice(-3))).toBeGreaterThan(mean(rewards.slice(0, 3)) + 0.1);
      const { base, tuned } = job.result ?? {};
      expect(tuned?.metrics?.['rewardMean']).toBeGreaterThan(base?.metrics?.['rewardMean'] ?? 1);
      await expectWholeAndSingle(client, job);
    },
    TIMEOUT_MS,
  );

  it(
    'makes a reward model of uploaded pairs, which ranks held-out ones and does not chat',
    async () => {
      const { client } = platform;
      const training = await upload(
        client,
        politePairs(['lamp', 'parcel', 'bill', 'key', 'chair', 'order']),
        'judge.jsonl',
      );
      const heldOut = await upload(client, politePairs(['coat', 'book', 'table']), 'judge-held-out.jsonl');
      for (const file of [training, heldOut]) await validation(client, file);
      const method = { type: 'reward' as const, reward: { hyperparameters: { n_epochs: 3, learning_rate: 2e-3 } } };
      const files = { training_file: training, validation_file: heldOut };
      const body = { model: TINY_MODEL, ...files, seed: 5, method };
      const created = await unwrap(client.POST('/v1/fine_tuning/jobs', { body }));
      const job = await waitForEnd(client, created.id, TIMEOUT_MS);
      expect(job).toMatchObject({ status: 'succeeded', error: null, method: { type: 'reward' } });
      expect(job.result?.tuned?.metrics).toMatchObject({ rewardAccuracy: 1 });
      expect(job.result?.tuned).not.toHaveProperty('perplexity');
      const model = job.fine_tuned_model ?? '';
      const asked = { model, messages: [{ role: 'user' as const, content: 'Where is my lamp?' }] };
      const { error } = await client.POST('/v1/chat/completions', { body: asked });
      expect(error).toMatchObject({ error: { code: 'model.unsupported', message: /gives points/ } });
    },
    TIMEOUT_MS,
  );
});
