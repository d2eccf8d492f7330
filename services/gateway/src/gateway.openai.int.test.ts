import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import OpenAI, { toFile } from 'openai';
import { newId } from '@luthier/contracts';
import { modelRecordOf } from './testing/builders.js';
import { startGatewayFixture } from './testing/gateway-fixture.js';
import type { GatewayFixture } from './testing/gateway-fixture.js';
import { InMemoryPlatform } from './testing/in-memory-platform.js';

const TUNED = `ft:Qwen/Qwen3-0.6B:luthier:${'s'.repeat(64)}:4k0xab12-and-even-longer-than-a-hundred-characters`;

describe('the official OpenAI SDK against the gateway', () => {
  let gateway: GatewayFixture;
  let openai: OpenAI;
  const platform = new InMemoryPlatform();

  beforeAll(async () => {
    gateway = await startGatewayFixture({ maxFileBytes: 1024 * 1024 });
    openai = gateway.openai;
    platform.serve(gateway.responders);
    const models = [
      modelRecordOf(),
      modelRecordOf({ name: TUNED, kind: 'tuned' }),
      modelRecordOf({ state: 'importing' }),
    ];
    for (const model of models) platform.models.set(model.id, model);
  });
  afterAll(() => gateway.stop());

  const upload = (text: string, name = 'rows.jsonl') =>
    openai.files.create({ file: new File([text], name), purpose: 'fine-tune' });

  it('uploads, reads back byte by byte, lists by purpose and deletes a file', async () => {
    const text = '{"prompt":"a","completion":"ü"}\n';
    const file = await openai.files.create({
      file: await toFile(Buffer.from(text), 'dir/rows ü.jsonl'),
      purpose: 'fine-tune',
      expires_after: { anchor: 'created_at', seconds: 3600 },
    });
    expect(file).toMatchObject({ object: 'file', bytes: Buffer.byteLength(text), status: 'processed' });
    expect(file.filename).toBe('rows ü.jsonl');
    expect(file.expires_at).toBe(file.created_at + 3600);
    expect((await openai.files.retrieve(file.id)).expires_at).toBe(file.expires_at);
    expect(Math.abs(file.created_at - Date.now() / 1000)).toBeLessThan(60);
    expect(await (await openai.files.content(file.id)).text()).toBe(text);
    expect((await openai.files.retrieve(file.id)).id).toBe(file.id);
    expect((await openai.files.list({ purpose: 'fine-tune' })).data.map(({ id }) => id)).toContain(file.id);
    expect((await openai.files.list({ purpose: 'evals' })).data).toEqual([]);
    expect((await openai.files.list({ purpose: 'batch' })).data).toEqual([]);
    expect(await openai.files.delete(file.id)).toEqual({ id: file.id, object: 'file', deleted: true });
  });

  it('keeps nothing of a file that is refused', async () => {
    const before = await readdir(gateway.artifactsDir, { recursive: true });
    const large = upload('x'.repeat(1024 * 1024 + 1));
    await expect(large).rejects.toMatchObject({ status: 413, code: 'request.too-large' });
    const purpose = 'nonsense' as 'fine-tune';
    const wrong = openai.files.create({ file: new File(['x'], 'x.jsonl'), purpose });
    await expect(wrong).rejects.toMatchObject({ status: 400, param: 'purpose', code: 'request.invalid' });
    const form = new FormData();
    form.set('purpose', 'fine-tune');
    const none = await gateway.call('/v1/files', { method: 'POST', body: form });
    expect([none.status, await none.json()]).toMatchObject([400, { error: { param: 'file' } }]);
    expect(await readdir(gateway.artifactsDir, { recursive: true })).toEqual(before);
  });

  it('creates a job from OpenAI fields and our own beside them', async () => {
    const file = await upload('{}');
    const general = await upload('{}');
    const body = {
      model: 'smollm2-135m-instruct',
      training_file: file.id,
      suffix: 'support',
      metadata: { teamName: 'a' },
      method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 2, batch_size: 'auto' } } },
      hyperparameters: { learning_rate: 0.002 },
      tuning: { type: 'lora', r: 8 },
      mix: { file_id: general.id, share: 0.2 },
      unknown_to_us: { kept: 'quiet' },
    };
    const job = await openai.fineTuning.jobs.create(body as unknown as OpenAI.FineTuning.JobCreateParams);
    expect(job).toMatchObject({
      object: 'fine_tuning.job',
      status: 'validating_files',
      metadata: { teamName: 'a' },
      user_provided_suffix: 'support',
      error: null,
    });
    expect(platform.asked.createJob.at(-1)).toMatchObject({
      jobId: job.id,
      trainingFile: file.id,
      hyperparameters: { epochs: 2, learningRate: 0.002 },
      tuning: { type: 'lora', r: 8, loraAlpha: 16, targetModules: 'all-linear' },
      mix: { fileId: general.id, share: 0.2 },
      generalFile: null,
    });
  });

  it('takes pairs to be compared as the SDK asks for it, and answers in its shape', async () => {
    const file = await upload('{}');
    const { id, method } = await openai.fineTuning.jobs.create({
      ...{ model: 'm', training_file: file.id },
      method: { type: 'dpo', dpo: { hyperparameters: { beta: 0.2, n_epochs: 2, batch_size: 'auto' } } },
    });
    expect(platform.asked.createJob.at(-1)).toMatchObject({
      jobId: id,
      method: { type: 'dpo', loss: 'sigmoid', beta: 0.2, labelSmoothing: 0 },
      hyperparameters: { epochs: 2 },
    });
    expect(method).toMatchObject({ type: 'dpo', dpo: { hyperparameters: { beta: 0.2 } } });
    expect(method?.supervised).toBeUndefined();
  });

  it('pages through jobs, events and checkpoints, cancels, pauses and resumes', async () => {
    const file = await upload('{}');
    const made: string[] = [];
    for (let n = 0; n < 5; n++) {
      made.push((await openai.fineTuning.jobs.create({ model: 'm', training_file: file.id })).id);
    }
    const seen: string[] = [];
    for await (const job of openai.fineTuning.jobs.list({ limit: 2 })) seen.push(job.id);
    expect(seen.slice(0, 5)).toEqual([...made].reverse());
    expect(new Set(seen).size).toBe(seen.length);

    const [id = ''] = made;
    expect((await openai.fineTuning.jobs.retrieve(id)).id).toBe(id);
    expect((await openai.fineTuning.jobs.pause(id)).status).toBe('paused');
    expect((await openai.fineTuning.jobs.resume(id)).status).toBe('queued');
    expect((await openai.fineTuning.jobs.cancel(id)).status).toBe('cancelled');
    const events = (await openai.fineTuning.jobs.listEvents(id)).data;
    expect(events).toMatchObject([{ type: 'metrics', data: { step: 1, train_loss: 2.5 } }, { type: 'message' }]);
    const [checkpoint] = (await openai.fineTuning.jobs.checkpoints.list(id)).data;
    expect(checkpoint).toMatchObject({ step_number: 10, metrics: { train_loss: 1.5 }, fine_tuning_job_id: id });
    expect(checkpoint?.fine_tuned_model_checkpoint).toMatch(/:ckpt-step-10$/);
  });

  it('restarts a job: elsewhere when nothing else is said, and refuses what it does not know', async () => {
    const file = await upload('{}');
    const { id } = await openai.fineTuning.jobs.create({ model: 'm', training_file: file.id });
    const path = `/fine_tuning/jobs/${id}/restart`;
    expect(await openai.post(path)).toMatchObject({ object: 'fine_tuning.job', id });
    expect(platform.asked.restartJob.at(-1)).toEqual({ jobId: id, avoidNode: true });
    await openai.post(path, { body: { avoid_node: false, attempt: 2 } });
    expect(platform.asked.restartJob.at(-1)).toEqual({ jobId: id, avoidNode: false, attempt: 2 });
    await expect(openai.post(path, { body: { avoidNode: false } })).rejects.toMatchObject({ status: 400 });
    await expect(openai.post(path, { body: { attempt: 0 } })).rejects.toMatchObject({ param: 'attempt' });
  });

  it('filters jobs by metadata, and by having none', async () => {
    await openai.fineTuning.jobs.list({ metadata: { team: 'a', Stage: 'b' } });
    expect(platform.asked.listJobs.at(-1)).toMatchObject({ metadata: { team: 'a', Stage: 'b' } });
    await openai.fineTuning.jobs.list({ metadata: null });
    expect(platform.asked.listJobs.at(-1)).toMatchObject({ metadata: null });
  });

  it('finds models whose names hold colons and slashes and are longer than a hundred characters', async () => {
    const listed = (await openai.models.list()).data.map(({ id }) => id);
    expect(listed).toEqual([TUNED, 'smollm2-135m-instruct']);
    expect(await openai.models.retrieve(TUNED)).toMatchObject({ id: TUNED, object: 'model' });
    expect(await openai.models.delete(TUNED)).toEqual({ id: TUNED, object: 'model', deleted: true });
    await expect(openai.models.retrieve(TUNED)).rejects.toBeInstanceOf(OpenAI.NotFoundError);
  });

  it('answers a conversation', async () => {
    const chat = await openai.chat.completions.create({
      model: 'smollm2-135m-instruct',
      messages: [
        { role: 'developer', content: 'Be short.' },
        { role: 'user', content: [{ type: 'text', text: 'Capital of France?' }] },
      ],
      max_completion_tokens: 32,
      stop: '\n',
    });
    expect(chat.choices[0]).toMatchObject({ finish_reason: 'stop', message: { role: 'assistant', content: 'Paris.' } });
    expect(chat.usage?.total_tokens).toBe(7);
    expect(platform.asked.generate.at(-1)).toMatchObject({
      conversations: [
        [
          { role: 'system', content: 'Be short.' },
          { role: 'user', content: 'Capital of France?' },
        ],
      ],
      sampling: { maxTokens: 32, temperature: 0, stop: ['\n'] },
    });
    const streamed = openai.chat.completions.create({
      model: 'm',
      messages: [{ role: 'user', content: 'x' }],
      stream: true,
    });
    await expect(streamed).rejects.toMatchObject({ status: 400, param: 'stream', code: 'request.unsupported' });
  });

  it('names field and code of every refusal, in the error class of the SDK', async () => {
    const file = (await upload('{}')).id;
    const create = (body: object) =>
      openai.fineTuning.jobs.create(body as unknown as OpenAI.FineTuning.JobCreateParams);
    const cases: [Promise<unknown>, abstract new (...args: never[]) => Error, object][] = [
      [create({ model: 'm' }), OpenAI.BadRequestError, { param: 'training_file', code: 'request.invalid' }],
      [
        create({ model: 'm', training_file: 'file-x' }),
        OpenAI.NotFoundError,
        { param: 'training_file', code: 'file.not-found' },
      ],
      [
        create({ model: 'nobody', training_file: file }),
        OpenAI.NotFoundError,
        { param: 'model', code: 'model.not-found' },
      ],
      [
        create({ model: 'm', training_file: file, hyperparameters: { n_epochs: 'many' } }),
        OpenAI.BadRequestError,
        { param: 'hyperparameters.n_epochs' },
      ],
      [
        create({ model: 'm', training_file: file, hyperparameters: { n_epochs: 51 } }),
        OpenAI.BadRequestError,
        { param: 'hyperparameters.n_epochs' },
      ],
      [
        create({ model: 'm', training_file: file, tuning: { type: 'lora', loraAlpha: 3 } }),
        OpenAI.BadRequestError,
        { param: 'tuning.loraAlpha' },
      ],
      [
        create({ model: 'm', training_file: file, method: { type: 'reinforcement' } }),
        OpenAI.BadRequestError,
        { param: 'method.reinforcement.grader', code: 'request.invalid' },
      ],
      [openai.files.retrieve(newId('file')), OpenAI.NotFoundError, { code: 'file.not-found' }],
      [openai.fineTuning.jobs.retrieve('nonsense'), OpenAI.NotFoundError, { code: 'job.not-found' }],
      [openai.files.list({ limit: 0 }), OpenAI.BadRequestError, { param: 'limit' }],
      [openai.embeddings.create({ model: 'm', input: 'x' }), OpenAI.NotFoundError, { code: 'route.not-found' }],
    ];
    const outcomes = await Promise.allSettled(cases.map(([call]) => call));
    for (const [index, [, errorClass, expected]] of cases.entries()) {
      const outcome = outcomes[index];
      const thrown: unknown = outcome?.status === 'rejected' ? outcome.reason : undefined;
      expect(thrown).toBeInstanceOf(errorClass);
      expect(thrown).toMatchObject({ ...expected, requestID: expect.stringMatching(/^req_/) });
    }
  });

  it('tells the SDK not to repeat a conflict', async () => {
    const file = await upload('{}', 'in-use.jsonl');
    const thrown: unknown = await openai.files.delete(file.id).catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(OpenAI.ConflictError);
    expect(thrown).toMatchObject({ code: 'file.in-use' });
    const raw = await gateway.call(`/v1/files/${file.id}`, { method: 'DELETE' });
    expect([raw.status, raw.headers.get('x-should-retry')]).toEqual([409, 'false']);
    expect(await raw.json()).toEqual({
      error: {
        message: 'A job uses the file',
        type: 'conflict_error',
        param: null,
        code: 'file.in-use',
        hint: 'Wait for, or cancel, the jobs named in the message.',
      },
    });
  });

  it('refuses a missing and a wrong key', async () => {
    const wrong = new OpenAI({ apiKey: 'lk-wrong', baseURL: `${gateway.url}/v1` });
    const thrown: unknown = await wrong.models.list().catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(OpenAI.AuthenticationError);
    expect(thrown).toMatchObject({ code: 'auth.wrong-key', type: 'authentication_error' });
    const missing = await fetch(`${gateway.url}/v1/models`);
    expect([missing.status, await missing.json()]).toMatchObject([
      401,
      { error: { code: 'auth.missing', param: null } },
    ]);
  });

  it('answers malformed JSON, foreign types and bodies that are too large in the same form', async () => {
    const post = (body: string, type: string) =>
      gateway.call('/v1/fine_tuning/jobs', { method: 'POST', body, headers: { 'content-type': type } });
    const malformed = await post('{"model":', 'application/json');
    expect([malformed.status, await malformed.json()]).toMatchObject([400, { error: { code: 'request.invalid' } }]);
    const foreign = await post('model=m', 'application/x-www-form-urlencoded');
    expect([foreign.status, await foreign.json()]).toMatchObject([400, { error: { code: 'request.invalid' } }]);
    const large = await post(`"${'x'.repeat(10 * 1024 * 1024)}"`, 'application/json');
    expect([large.status, await large.json()]).toMatchObject([413, { error: { code: 'request.too-large' } }]);
  });

  it.each([
    [`/v1/models/${'x'.repeat(600)}`, 404],
    ['/v1/../v1/nowhere', 404],
    ['/v1/models/%2e%2e%2f', 404],
  ])('answers the strange address %s with an error of its own', async (path, status) => {
    const response = await gateway.call(path);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error: { type: expect.any(String), code: expect.any(String) } });
  });

  it('refuses multipart bodies that are broken', async () => {
    const send = (body: string, type: string) =>
      gateway.call('/v1/files', { method: 'POST', body, headers: { 'content-type': type } });
    for (const [body, type] of [
      [
        '--b\r\ncontent-disposition: form-data; name="file"; filename="x"\r\n\r\nabc',
        'multipart/form-data; boundary=b',
      ],
      ['abc', 'multipart/form-data'],
      ['', 'multipart/form-data; boundary=b'],
      ['{}', 'application/json'],
    ] as const) {
      const response = await send(body, type);
      expect([response.status, await response.json()]).toMatchObject([400, { error: { code: 'request.invalid' } }]);
    }
  });
});
