import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import {
  FILE_USERS_MAX,
  PRIORITIES,
  cancelJob,
  createJob,
  getJob,
  listFileUsers,
  listJobCheckpoints,
  listJobEvents,
  listJobMetrics,
  listJobs,
  newId,
  pauseJob,
  planJob,
  readJobStream,
  restartJob,
  resumeJob,
  runRequest,
} from '@luthier/contracts';
import type { JobRecord, JobRequest, StreamEntry } from '@luthier/contracts';
import { readArtifact } from '@luthier/artifacts';
import { MessageBus, provision } from '@luthier/messaging';
import { createLogger, loadConfig } from '@luthier/service-kit';
import type { RunningService } from '@luthier/service-kit';
import { startNats, startPostgres, tempDir, waitFor } from '@luthier/testing';
import type { TestDatabase, TestNats, TestPostgres } from '@luthier/testing';
import { startTraining, trainingConfig } from './index.js';
import { JobStore } from './jobs/job.store.js';
import { FakePeers } from './testing/fake-peers.js';

let postgres: TestPostgres;
let nats: TestNats;
let database: TestDatabase;
let peers: FakePeers;
let bus: MessageBus;
let service: RunningService;
let artifactsDir: string;

const start = (): Promise<RunningService> =>
  startTraining(
    loadConfig(
      trainingConfig,
      {},
      {
        natsUrl: nats.url,
        databaseUrl: database.url,
        artifacts: pathToFileURL(artifactsDir).href,
        sweepIntervalMs: 100,
        shutdownTimeoutMs: 3_000,
      },
    ),
    { logger: createLogger({ service: 'training', level: 'silent' }) },
  );

beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

beforeEach(async () => {
  nats = await startNats();
  database = await postgres.createDatabase();
  artifactsDir = await tempDir('training');
  const connection = await nats.connect();
  await provision(connection);
  bus = new MessageBus(connection);
  peers = new FakePeers(await nats.connect(), artifactsDir);
  await peers.start();
  service = await start();
});
afterEach(async () => {
  peers.stop();
  await service.stop();
  await nats.stop();
  await database.drop();
});

const jobRequest = (patch: Partial<JobRequest> = {}): JobRequest => ({
  jobId: newId('job'),
  model: 'tiny-chat',
  trainingFile: peers.file(),
  validationFile: peers.file(),
  generalFile: null,
  mix: null,
  suffix: 'support',
  seed: 7,
  metadata: {},
  method: { type: 'supervised' },
  tuning: null,
  hyperparameters: {},
  cutoffLength: null,
  autoFix: false,
  ...patch,
});
const REWARD = { type: 'reward', centerRewardsCoefficient: 0.01 } as const;
const GRPO: JobRequest['method'] = {
  ...{ type: 'grpo', groupSize: 4, beta: 0, epsilon: 0.2, temperature: 1, maxCompletionTokens: 8, lossType: 'grpo' },
  grader: {
    ...{ type: 'string_check', name: 'right', operation: 'eq' },
    ...{ input: '{{sample.output_text}}', reference: '{{item.answer}}' },
  },
};
const DPO = { type: 'dpo', loss: 'sigmoid', beta: 0.1, labelSmoothing: 0 } as const;
const pairs = (): string => peers.file({ rowKind: 'pairs' });
const create = (patch: Partial<JobRequest> = {}): Promise<JobRecord> => bus.request(createJob, jobRequest(patch));
const get = (jobId: string): Promise<JobRecord> => bus.request(getJob, { jobId });
const until = (jobId: string, status: JobRecord['status']): Promise<JobRecord> =>
  waitFor(
    async () => {
      const job = await get(jobId);
      return job.status === status ? job : undefined;
    },
    { what: `${jobId} to be ${status}` },
  );
const losses = async (jobId: string): Promise<{ step: number; value: number }[]> =>
  (await bus.request(listJobMetrics, { jobId, names: ['loss'] })).points;
const messages = async (jobId: string): Promise<string[]> =>
  (await bus.request(listJobEvents, { jobId, limit: 200, order: 'asc' })).items.map(({ message }) => message);
async function stream(jobId: string): Promise<StreamEntry[]> {
  const all: StreamEntry[] = [];
  for (;;) {
    const { entries, ended } = await bus.request(readJobStream, { jobId, after: all.at(-1)?.id ?? 0, limit: 20 });
    all.push(...entries);
    if (ended || entries.length === 0) return all;
  }
}
const numbered = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

async function query<Row extends object>(text: string, values: unknown[] = []): Promise<Row[]> {
  const client = new Client({ connectionString: database.url });
  await client.connect();
  try {
    return (await client.query<Row>(text, values)).rows;
  } finally {
    await client.end();
  }
}
const outbox = async (jobId: string): Promise<string[]> =>
  (await query<{ subject: string }>(`select subject from training.outbox where payload->>'jobId' = $1`, [jobId])).map(
    ({ subject }) => subject,
  );

const announced = async (jobId: string): Promise<object[]> =>
  (await query<{ payload: object }>(`select payload from training.outbox where payload->>'jobId' = $1`, [jobId])).map(
    ({ payload }) => payload,
  );

/** What is under way in the database is rolled back, as when the process is killed; then the process goes. */
async function crash(): Promise<void> {
  await query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'luthier-training' and datname = current_database()`,
  );
  await service.stop();
}

describe('a job', () => {
  it('goes from files to a registered model, with curve, events and a gap-free live stream', async () => {
    peers.script.push({ checkpointSteps: [5, 10], lostSteps: [4] });
    const { id } = await create();
    const job = await until(id, 'succeeded');
    expect(job).toMatchObject({
      phase: 'done',
      tunedModelId: peers.models.get(id)?.id,
      fineTunedModel: peers.models.get(id)?.name,
      trainedTokens: 1600,
      plan: { verdict: 'fits', steps: 60 },
      attempts: [{ attempt: 1, code: null }],
      error: null,
    });
    expect((await losses(id)).map(({ step }) => step)).toEqual(numbered(10));
    await waitFor(async () => {
      const { items } = await bus.request(listJobCheckpoints, { jobId: id });
      return items.length === 2 && items.every(({ step }) => step === 5 || step === 10);
    });
    const said = await messages(id);
    for (const part of [
      `Created fine-tuning job: ${id}`,
      'Validating training file: file-',
      'Step 10/10: training loss=2.90',
      'New fine-tuned model created: ft:tiny-chat',
    ]) {
      expect(said.some((message) => message.includes(part))).toBe(true);
    }
    expect(said.at(-1)).toBe('The job has successfully completed');
    expect(await announced(id)).toMatchObject([{ unprovenBecause: null }]);
    const entries = await stream(id);
    expect(entries.map((entry) => entry.id)).toEqual(numbered(entries.length));
    expect(entries.at(-1)).toMatchObject({ type: 'job', data: { status: 'succeeded' } });
    expect(await outbox(id)).toEqual(['luthier.v1.event.training.job.succeeded']);
    const runId = job.runId ?? '';
    await waitFor(async () => (await peers.bucket.get('spec', runId))?.value.closed);
    expect((await peers.bucket.get('spec', runId))?.value.seen).toEqual({ attempt: 1, objectUid: 'uid-1' });
  });

  it('is created once however often it is asked for', async () => {
    const request = jobRequest();
    await Promise.all([bus.request(createJob, request), bus.request(createJob, request)]);
    await bus.request(createJob, request);
    expect((await bus.request(listJobs, {})).items).toHaveLength(1);
    await until(request.jobId, 'succeeded');
  });

  it('fails at validation, with the first issues, when a file has no usable row', async () => {
    const { id } = await create({ trainingFile: peers.unusableFile() });
    const job = await until(id, 'failed');
    expect(job.error).toMatchObject({ code: 'file.unusable', hint: 'Add it.' });
    expect(job.error?.message).toContain('line 3: The field "messages" is missing.');
    expect(job.runId).toBeNull();
    expect(await outbox(id)).toEqual(['luthier.v1.event.training.job.failed']);
  });

  it('fails before queueing, with alternatives, when it can never fit', async () => {
    for (const profile of peers.inventory.profiles) profile.memoryMib = 1_500;
    peers.longestRowTokens = 8_000;
    const { id } = await create({ cutoffLength: 8_000 });
    const job = await until(id, 'failed');
    expect(job.error?.code).toBe('plan.does-not-fit');
    expect(job.plan?.alternatives.length).toBeGreaterThan(0);
    expect(job.error?.change).toEqual(job.plan?.alternatives[0]?.change);
    expect((await stream(id)).some(({ data }) => data['status'] === 'queued')).toBe(false);
  });

  it('is refused at submit with the field at fault', async () => {
    await expect(create({ trainingFile: newId('file') })).rejects.toMatchObject({
      code: 'file.not-found',
      param: 'training_file',
    });
    await expect(create({ model: 'no-such' })).rejects.toMatchObject({ code: 'model.not-found', param: 'model' });
    await expect(create({ tuning: { type: 'full' } })).rejects.toMatchObject({
      code: 'model.unsupported',
      param: 'tuning.type',
    });
    await expect(create({ hyperparameters: { neftuneNoiseAlpha: 5 } })).rejects.toMatchObject({
      code: 'model.unsupported',
      param: 'hyperparameters.neftuneNoiseAlpha',
      hint: expect.stringContaining('LUTHIER_LOCAL_RUNTIME=torch'),
    });
    await expect(create({ hyperparameters: { optimizer: 'muon' } })).rejects.toMatchObject({
      code: 'request.invalid',
      param: 'hyperparameters.optimizer',
    });
    const stopping = { evaluationSteps: 4, earlyStoppingPatience: 2 };
    await expect(create({ hyperparameters: stopping, validationFile: null })).rejects.toMatchObject({
      code: 'request.invalid',
      param: 'hyperparameters.earlyStoppingPatience',
      hint: expect.stringContaining('validation_file'),
    });
    await expect(create({ hyperparameters: { earlyStoppingPatience: 2 } })).rejects.toMatchObject({
      code: 'request.invalid',
      param: 'hyperparameters.earlyStoppingPatience',
      hint: expect.stringContaining('eval_steps'),
    });
    await expect(
      create({
        method: REWARD,
        trainingFile: pairs(),
        validationFile: null,
        generalFile: null,
        tuning: { type: 'full' },
      }),
    ).rejects.toMatchObject({ param: 'tuning.type', hint: expect.stringContaining('"lora"') });
    await expect(
      create({ method: REWARD, trainingFile: pairs(), validationFile: null, generalFile: peers.file() }),
    ).rejects.toMatchObject({ code: 'request.invalid', param: 'general_file' });
    await expect(
      create({ method: { type: 'orpo', beta: 0.1 }, trainingFile: pairs(), validationFile: null }),
    ).rejects.toMatchObject({ param: 'method.type', hint: expect.stringContaining('LUTHIER_LOCAL_RUNTIME=torch') });
  });

  it.each<[string, () => Partial<JobRequest>, string, RegExp]>([
    ['examples for a method that compares', () => ({ method: DPO, validationFile: null }), 'training_file', /pairs/],
    [
      'pairs for supervised training',
      () => ({ trainingFile: pairs() }),
      'training_file',
      /"dpo" or "orpo" or "simpo" or "reward"/,
    ],
    ['held-out examples beside pairs', () => ({ method: DPO, trainingFile: pairs() }), 'validation_file', /pairs/],
    [
      'ratings mixed into examples',
      () => ({ mix: { fileId: peers.file({ rowKind: 'ratings' }), share: 0.1 } }),
      'mix.file_id',
      /"kto"/,
    ],
    ['text as questions', () => ({ generalFile: peers.file({ rowKind: 'text' }) }), 'general_file', /questions/],
  ])('is refused with %s, and told what would fit', async (_what, patch, param, hint) => {
    const refused = { code: 'file.wrong-rows', param, hint: expect.stringMatching(hint) };
    await expect(create(patch())).rejects.toMatchObject(refused);
  });

  it('is planned with the same refusals', async () => {
    const { jobId: _, ...wish } = jobRequest({ mix: { fileId: pairs(), share: 0.1 } });
    await expect(bus.request(planJob, wish)).rejects.toMatchObject({ code: 'file.wrong-rows', param: 'mix.file_id' });
  });

  it('fails before anything is prepared when a file turns out to hold other rows', async () => {
    const trainingFile = peers.file({ state: 'validating', rowKind: null, usableRows: 0 });
    const { id } = await create({ trainingFile });
    peers.reports.set(trainingFile, { ...peers.report(trainingFile), state: 'done', rowKind: 'pairs', usableRows: 5 });
    const job = await until(id, 'failed');
    expect(job).toMatchObject({ phase: 'validating', trainDatasetId: null, error: { code: 'file.wrong-rows' } });
    expect(job.error?.hint).toContain('"dpo"');
  });

  it('compares pairs where a runtime can, at a tenth of the supervised rate', async () => {
    for (const { capabilities } of peers.inventory.profiles) capabilities.methods.push('dpo');
    const { id } = await create({ method: DPO, trainingFile: pairs(), validationFile: pairs() });
    const job = await until(id, 'succeeded');
    expect(job).toMatchObject({ method: DPO, hyperparameters: { globalBatch: 16, learningRate: 2e-4 } });
    expect(peers.prepared.map(({ role, kind }) => `${role} ${kind}`)).toEqual(
      expect.arrayContaining(['train preference', 'held-out preference']),
    );
  });

  it('makes a reward model that is registered as one, and asks it nothing', async () => {
    for (const { capabilities } of peers.inventory.profiles) capabilities.methods.push('reward');
    const { id } = await create({ method: REWARD, trainingFile: pairs(), validationFile: pairs(), generalFile: null });
    const job = await until(id, 'succeeded');
    expect(peers.evaluations.has(id)).toBe(false);
    expect(job.message).toMatch(/unproven: A reward model gives points instead of answers/);
    expect(peers.models.get(id)).toMatchObject({ gives: 'points' });
  });

  it('learns from graded answers where the grader knows the fields of the rows, and says what shows its worth', async () => {
    for (const { capabilities } of peers.inventory.profiles) capabilities.methods.push('grpo');
    const prompts = (...itemFields: string[]): string => peers.file({ rowKind: 'prompts', itemFields });
    const files = { validationFile: prompts('answer', 'place'), generalFile: null };
    await expect(create({ method: GRPO, ...files, trainingFile: prompts('place') })).rejects.toMatchObject({
      ...{ code: 'request.invalid', param: 'method.grpo.grader' },
      hint: expect.stringContaining('{{item.place}}'),
    });
    const { id } = await create({ method: GRPO, ...files, trainingFile: prompts('answer') });
    const job = await until(id, 'succeeded');
    expect(peers.prepared.map(({ role, kind }) => `${role} ${kind}`)).toContain('train prompts');
    expect(job.message).toMatch(/unproven: Prompts hold no answers to compare with/);
    expect(peers.evaluations.has(id)).toBe(false);
  });

  it('succeeds without proof when its evaluation fails', async () => {
    peers.evaluationState = 'failed';
    const { id } = await create();
    const job = await until(id, 'succeeded');
    expect(job.message).toBe('The job has succeeded, but the model is unproven: No answers came back.');
    expect((await messages(id)).at(-1)).toBe(job.message);
    expect(job.evaluationId).not.toBeNull();
    expect(await announced(id)).toMatchObject([{ unprovenBecause: 'No answers came back.' }]);
  });

  it('without rows to compare on has no evaluation and says that nothing is proven', async () => {
    const { id } = await create({ validationFile: null, generalFile: null });
    const job = await until(id, 'succeeded');
    expect(peers.evaluations.has(id)).toBe(false);
    expect(job.evaluationId).toBeNull();
    expect(job.message).toMatch(
      /^The job has succeeded, but the model is unproven: .*no held-out rows.*validation_file/,
    );
    expect((await messages(id)).at(-1)).toBe(job.message);
    expect(await announced(id)).toMatchObject([
      { modelId: job.tunedModelId, unprovenBecause: expect.stringContaining('no held-out rows') },
    ]);
  });

  it('with general questions alone is still asked what was forgotten, and says that nothing is proven', async () => {
    peers.verdict = 'unproven';
    const { id } = await create({ validationFile: null, generalFile: peers.file() });
    const job = await until(id, 'succeeded');
    expect(peers.evaluations.has(id)).toBe(true);
    expect(job.evaluationId).not.toBeNull();
    expect(job.message).toBe('The job has succeeded, but the model is unproven: As was found.');
  });

  it('can be planned without being submitted', async () => {
    const { jobId: _, ...wish } = jobRequest();
    const plan = await bus.request(planJob, wish);
    expect(plan).toMatchObject({ verdict: 'fits', steps: 60, tokens: 12_000 });
    expect(plan.estimatedSeconds).toBeGreaterThan(0);
  });
});

describe('a job that says where it wants to run', () => {
  const GPU = { nodes: 2, devicesPerNode: 8, deviceType: 'H100' };
  const onDevices = (patch: object = {}): void => {
    peers.inventory.profiles = peers.inventory.profiles.map((profile) => ({
      ...profile,
      ...{ name: 'gpu', device: 'NVIDIA-H100-80GB-HBM3', devices: 1, freeDevices: 16, memoryMib: 80_000 },
      ...{ freeMemoryMib: 80_000, hostMemoryMib: 64_000, slots: 10 },
      ...patch,
    }));
  };
  const specOf = async (job: JobRecord) => (await peers.bucket.get('spec', job.runId ?? ''))?.value;

  it('is refused at submit with the reason of the place, the field at fault and what would fit', async () => {
    onDevices();
    peers.fit = {
      ...{ canEverFit: false, fitsNow: false, reason: 'node-too-small', params: { devicesPerNode: 16, largest: 8 } },
      message: 'No node has 16 GPUs; the largest has 8. Use 2 nodes x 8 GPUs.',
      nearest: { nodes: 2, devicesPerNode: 8, deviceType: null, otherType: false, withoutQueue: false },
    };
    const { reason, params, nearest } = peers.fit;
    const resources = { nodes: 1, devicesPerNode: 16, deviceType: null };
    await expect(create({ resources })).rejects.toMatchObject({
      code: 'plan.does-not-fit',
      param: 'resources.devices_per_node',
      message: peers.fit.message,
      obstacle: { reason, params, nearest },
    });
    expect((await bus.request(listJobs, {})).items).toEqual([]);
    const { jobId: _, ...wish } = jobRequest({ resources });
    expect(await bus.request(planJob, wish)).toMatchObject({
      verdict: 'can-never-fit',
      message: peers.fit.message,
      obstacle: { reason, params, nearest },
      alternatives: [{ change: { 'resources.nodes': 2, 'resources.devices_per_node': 8 } }],
    });
    peers.fit = { ...peers.fit, reason: 'unknown-queue', message: "Queue 'nope' does not exist." };
    await expect(create({ queue: 'nope' })).rejects.toMatchObject({ code: 'plan.does-not-fit', param: 'queue' });
  });

  it('gets what it asks for, in the run as in the request of the runtime', async () => {
    onDevices();
    peers.fit = { deviceProducts: ['NVIDIA-H100-80GB-HBM3'] };
    const { id } = await create({ resources: GPU });
    const job = await until(id, 'succeeded');
    expect(job.resources).toEqual(GPU);
    expect(await specOf(job)).toMatchObject({
      queue: 'internal',
      resources: {
        ...{ nodes: 2, devicesPerNode: 8, memoryMib: 64_000, deviceMemoryMib: job.plan?.totalMib },
        deviceProducts: ['NVIDIA-H100-80GB-HBM3'],
      },
    });
    expect(peers.shapes.at(-1)).toMatchObject({ ...GPU, deviceMemoryMib: job.plan?.totalMib });
    const spec = await specOf(job);
    const request = await readArtifact(peers.store, spec?.requestUri ?? '', 1_000_000);
    expect(runRequest.parse(JSON.parse(request.toString())).parallelism).toEqual({ nodes: 2, devicesPerNode: 8 });
  });

  it('waits while others have the devices, with the words of the place, and starts when they are free', async () => {
    onDevices();
    peers.fit = {
      fitsNow: false,
      reason: 'devices-busy',
      params: { nodes: 1, devicesPerNode: 8, fitting: 0, free: 3, together: '' },
      message: 'Waiting for GPUs: needs 8 on one node, 3 free now.',
    };
    const obstacle = { reason: 'devices-busy', params: peers.fit.params, nearest: null };
    const { id } = await create({ resources: GPU });
    await waitFor(async () => {
      const job = await get(id);
      return job.status === 'queued' && job.message === peers.fit.message;
    });
    expect((await get(id)).plan).toMatchObject({ verdict: 'waits', message: peers.fit.message, obstacle });
    const { items } = await bus.request(listJobEvents, { jobId: id, limit: 100 });
    expect(items.find(({ message }) => message === peers.fit.message)?.data).toEqual({ obstacle });
    peers.fit = {};
    await until(id, 'succeeded');
  });

  it('is handed to a queue outside at once, even when there is no room now', async () => {
    onDevices();
    peers.fit = {
      fitsNow: false,
      reason: 'queue-busy',
      message: 'In queue team-a: needs 16 GPUs, 3 not reserved now.',
    };
    const { id } = await create({ resources: GPU, queue: 'team-a' });
    const job = await until(id, 'succeeded');
    expect(job.queue).toBe('team-a');
    expect(await specOf(job)).toMatchObject({ queue: 'external', queueName: 'team-a' });
  });

  it('waits in the queue of its profile where it names none itself', async () => {
    onDevices({ queue: 'everyone' });
    const { id } = await create({});
    const job = await until(id, 'succeeded');
    expect(job.queue).toBeNull();
    expect(await specOf(job)).toMatchObject({ queue: 'external', queueName: 'everyone' });
  });

  it('fails before queueing when the place has become too small in the meantime', async () => {
    onDevices();
    peers.datasetState = 'preparing';
    const { id } = await create({ resources: GPU });
    await waitFor(async () => (await get(id)).phase === 'preparing');
    peers.fit = {
      canEverFit: false,
      fitsNow: false,
      reason: 'too-few-nodes',
      message: 'The cluster has 1 such place.',
    };
    peers.datasetState = 'ready';
    const job = await until(id, 'failed');
    expect(job.error).toMatchObject({ code: 'plan.does-not-fit', message: expect.stringContaining('1 such place') });
  });
});

describe('a file', () => {
  const users = async (fileId: string, datasetIds: string[] = []): Promise<string[]> =>
    (await bus.request(listFileUsers, { fileId, datasetIds })).jobIds;

  it.each(['trainingFile', 'validationFile', 'generalFile', 'mix'] as const)(
    'is used as %s until the job has ended, also while the job is paused',
    async (role) => {
      peers.script.push({ untilStep: 3, untilStopped: true });
      const fileId = peers.file();
      const { id } = await create({ [role]: role === 'mix' ? { fileId, share: 0.1 } : fileId });
      await waitFor(async () => (await get(id)).progress?.step === 3);
      expect(await users(fileId)).toEqual([id]);
      expect(await users(peers.file())).toEqual([]);
      await bus.request(pauseJob, { jobId: id });
      const { trainDatasetId } = await until(id, 'paused');
      expect(await users(fileId)).toEqual([id]);
      expect(await users(peers.file(), ['ds-other', trainDatasetId ?? ''])).toEqual([id]);
      await bus.request(cancelJob, { jobId: id });
      await until(id, 'cancelled');
      expect(await users(fileId)).toEqual([]);
    },
  );

  it('names at most as many users as an answer holds, oldest first, and says that there are more', async () => {
    peers.datasetState = 'preparing';
    const trainingFile = peers.file();
    const made: string[] = [];
    for (let count = 0; count <= FILE_USERS_MAX; count += 1) made.push((await create({ trainingFile })).id);
    const { jobIds, hasMore } = await bus.request(listFileUsers, { fileId: trainingFile });
    expect(jobIds).toEqual(made.slice(0, FILE_USERS_MAX));
    expect(hasMore).toBe(true);
  });
});

describe('a run', () => {
  it('that ends before all planned steps has none left from then on, and succeeds with those it made', async () => {
    peers.script.push({ untilStep: 4 });
    const { id } = await create();
    const made = { step: 4, totalSteps: 4, secondsLeft: 0 };
    expect(await until(id, 'succeeded')).toMatchObject({ progress: made, result: { steps: 4 } });
    const told = (await stream(id)).flatMap(({ type, data }) => (type === 'job' ? [data as unknown as JobRecord] : []));
    expect(told.find(({ phase }) => phase === 'training')?.progress?.totalSteps).not.toBe(4);
    const after = told.filter(({ phase }) => phase === 'saving' || phase === 'registering' || phase === 'evaluating');
    expect(after.map(({ phase }) => phase)).toContain('saving');
    for (const { progress } of after) expect(progress).toMatchObject(made);
  });

  it('that infrastructure ended goes on from its checkpoint, and its curve has no doubles', async () => {
    peers.script.push({ untilStep: 7, checkpointSteps: [5], code: 'runtime.killed' }, {});
    const { id } = await create();
    const job = await until(id, 'succeeded');
    expect(job.attempts).toMatchObject([
      { attempt: 1, code: 'runtime.killed' },
      { attempt: 2, code: null, resumedFromStep: 5 },
    ]);
    const curve = await losses(id);
    expect(curve.map(({ step }) => step)).toEqual(numbered(10));
    expect(curve.map(({ value }) => Math.floor(value))).toEqual([2, 2, 2, 2, 2, 3, 3, 3, 3, 3]);
    expect(peers.mostAtOnce).toBe(1);
  });

  it('is tried again three times without a new checkpoint, then fails with the reason', async () => {
    peers.script.push(...numbered(9).map(() => ({ untilStep: 2, code: 'storage.unreachable' as const })));
    const { id } = await create();
    const job = await until(id, 'failed');
    expect(job.attempts).toHaveLength(4);
    expect(job.error?.code).toBe('storage.unreachable');
  });

  it('is never tried again for a fault of the user, but told what to change', async () => {
    peers.script.push({ untilStep: 3, code: 'training.diverged' });
    const { id } = await create({ hyperparameters: { learningRate: 0.03 } });
    const job = await until(id, 'failed');
    expect(job.attempts).toHaveLength(1);
    expect(job.error?.change).toEqual({ 'hyperparameters.learning_rate': 0.01 });
  });

  it.each(['device.out-of-memory', 'host.out-of-memory'] as const)(
    'with auto_fix goes on after %s with less by the estimate: time for memory first, then shorter rows; never the batch',
    async (code) => {
      for (const profile of peers.inventory.profiles) {
        profile.memoryMib = 64_000;
        profile.freeMemoryMib = 64_000;
      }
      peers.longestRowTokens = 1_024;
      peers.script.push({ untilStep: 0, code }, { untilStep: 0, code }, {});
      const { id } = await create({ autoFix: true });
      const job = await until(id, 'succeeded');
      expect(job.hyperparameters.globalBatch).toBe(8);
      expect(job.cutoffLength).toBeLessThan(1_024);
      expect(job.plan?.memoryMode).toBe('layer-recompute');
      const retries = (await messages(id)).filter((message) => message.includes('ran out of memory; trying again: '));
      expect(retries).toEqual([
        expect.stringMatching(/activations computed layer by layer, about \d+ MiB$/),
        expect.stringMatching(/rows cut at \d+ tokens, about \d+ MiB$/),
      ]);
      const spec = await peers.bucket.get('spec', job.runId ?? '');
      const request = await readArtifact(peers.store, spec?.value.requestUri ?? '');
      const { limits } = runRequest.parse(JSON.parse(request.toString('utf8')));
      expect(limits.memoryMib).toBeGreaterThanOrEqual(job.plan?.totalMib ?? Infinity);
      expect(limits.memoryMib).toBeLessThan(4_000);
    },
  );

  it('without auto_fix fails after the memory was not enough, with a change that lowers it and both figures', async () => {
    for (const profile of peers.inventory.profiles) profile.memoryMib = profile.freeMemoryMib = 64_000;
    peers.longestRowTokens = 1_024;
    peers.script.push({ untilStep: 0, code: 'host.out-of-memory' });
    const { id } = await create();
    const { error, plan } = await until(id, 'failed');
    expect(Object.keys(error?.change ?? {})).toEqual(['cutoff_length']);
    expect(error?.hint).toContain(`about ${plan?.totalMib} MiB`);
  });

  it('cannot be paused while its datasets are made again, but cancelled', async () => {
    for (const profile of peers.inventory.profiles) profile.memoryMib = profile.freeMemoryMib = 64_000;
    peers.longestRowTokens = 1_024;
    const code = 'host.out-of-memory' as const;
    const slots = (count: number): void => peers.inventory.profiles.forEach((profile) => (profile.slots = count));
    slots(0);
    peers.script.push({ untilStep: 0, code }, { untilStep: 0, code });
    const { id } = await create({ autoFix: true });
    await until(id, 'queued');
    peers.datasetState = 'preparing';
    slots(1);
    await waitFor(async () => (await get(id)).phase === 'preparing');
    await expect(bus.request(pauseJob, { jobId: id })).rejects.toMatchObject({ code: 'job.not-pausable' });
    expect((await bus.request(cancelJob, { jobId: id })).status).toBe('cancelled');
  });

  it('keeps to one place: the second job waits with a sentence', async () => {
    peers.script.push({ untilStep: 3, untilStopped: true }, {});
    const first = await create();
    await waitFor(async () => (await get(first.id)).progress?.step === 3);
    const second = await create();
    const waiting = await waitFor(async () => {
      const job = await get(second.id);
      return job.message.includes('free place') ? job : undefined;
    });
    expect(waiting.status).toBe('queued');
    await bus.request(cancelJob, { jobId: first.id });
    await until(second.id, 'succeeded');
    expect(peers.mostAtOnce).toBe(1);
  });

  it('starts by priority, of equal ones the oldest first, and what is made once more before anything new', async () => {
    peers.script.push({ untilStep: 1, untilStopped: true });
    const blocker = await create();
    await until(blocker.id, 'running');
    const queued = async (patch: Partial<JobRequest>): Promise<string> => {
      const { id } = await create(patch);
      return (await until(id, 'queued')).id;
    };
    const low = await queued({ priority: 'low' });
    const first = await queued({});
    const second = await queued({ priority: 'normal' });
    const high = await queued({ priority: 'high' });
    const again = await queued({ priority: 'low', autoFix: true });
    const store = service.app.get(JobStore, { strict: false });
    await store.change(again, async (tx) => tx.saveJob({ ...tx.job, fixes: 1 }));
    const isLast = async (): Promise<boolean> => (await get(low)).message === '4 jobs wait before this one.';
    await waitFor(isLast, { what: 'the last place in the queue' });
    await bus.request(cancelJob, { jobId: blocker.id });
    const { priority } = await until(low, 'succeeded'); // after four others
    expect(priority).toBe('low');
    expect(peers.begun).toEqual([blocker.id, again, high, first, second, low]);
    const { runId } = await get(high);
    expect((await peers.bucket.get('spec', runId ?? ''))?.value.priority).toBe(PRIORITIES.high);
  });

  it('ignores a late status of an older attempt', async () => {
    peers.script.push({ untilStep: 2, code: 'runtime.killed' }, { untilStep: 4, untilStopped: true });
    const { id, runId } = await (async () => {
      const made = await create();
      return waitFor(async () => {
        const job = await get(made.id);
        return job.progress?.step === 4 ? job : undefined;
      });
    })();
    const current = await peers.bucket.get('status', runId ?? '');
    if (!current) throw new Error('no status');
    const { outcome: _, ...rest } = current.value;
    await peers.bucket.put('status', { ...rest, attempt: 1, phase: 'ended', reason: 'failed' });
    await peers.bucket.put('status', rest);
    await bus.request(pauseJob, { jobId: id });
    const job = await until(id, 'paused');
    expect(job.attempts).toHaveLength(2);
  });
});

describe('stopping', () => {
  it('cancels at once what waits, and what runs after it has left', async () => {
    peers.script.push({ untilStep: 3, untilStopped: true });
    const running = await create();
    await waitFor(async () => (await get(running.id)).progress?.step === 3);
    const waiting = await create();
    await until(waiting.id, 'queued');
    expect((await bus.request(cancelJob, { jobId: waiting.id })).status).toBe('cancelled');
    expect((await bus.request(cancelJob, { jobId: running.id })).status).toBe('running');
    const job = await until(running.id, 'cancelled');
    expect(job.finishedAt).not.toBeNull();
    expect(await outbox(running.id)).toEqual(['luthier.v1.event.training.job.cancelled']);
    await waitFor(async () => (await peers.bucket.get('spec', job.runId ?? ''))?.value.closed);
  });

  it('refuses to cancel what has succeeded', async () => {
    const { id } = await create();
    await until(id, 'succeeded');
    await expect(bus.request(cancelJob, { jobId: id })).rejects.toMatchObject({ code: 'job.not-cancellable' });
    await expect(bus.request(pauseJob, { jobId: id })).rejects.toMatchObject({ code: 'job.not-pausable' });
  });

  it('pauses a running job, and goes on from its checkpoint when it is resumed', async () => {
    peers.script.push({ untilStep: 4, checkpointSteps: [4], untilStopped: true }, {});
    const { id } = await create();
    await waitFor(async () => (await get(id)).progress?.step === 4);
    await bus.request(pauseJob, { jobId: id });
    await until(id, 'paused');
    await bus.request(resumeJob, { jobId: id });
    const job = await until(id, 'succeeded');
    expect(job.attempts).toMatchObject([{ attempt: 1 }, { attempt: 2, resumedFromStep: 4 }]);
    expect((await losses(id)).map(({ step }) => step)).toEqual(numbered(10));
  });
});

describe('restarting', () => {
  const restart = (jobId: string, order: { attempt?: number; avoidNode?: boolean } = {}): Promise<JobRecord> =>
    bus.request(restartJob, { jobId, ...order });
  const specOf = async ({ runId }: JobRecord) => (await peers.bucket.get('spec', runId ?? ''))?.value;
  const atStep4 = async (): Promise<string> => {
    peers.nodes = ['gpu-1'];
    peers.script.push({ untilStep: 4, checkpointSteps: [4], untilStopped: true });
    const { id } = await create();
    await waitFor(async () => (await get(id)).progress?.step === 4);
    return id;
  };
  const expectWhole = async (id: string, attempts: number): Promise<void> => {
    const job = await until(id, 'succeeded');
    expect(job.attempts).toHaveLength(attempts);
    expect((await losses(id)).map(({ step }) => step)).toEqual(numbered(10));
    expect(peers.mostAtOnce).toBe(1);
    const entries = await stream(id);
    expect(entries.map((entry) => entry.id)).toEqual(numbered(entries.length));
  };

  it('ends the attempt, goes on from its checkpoint away from its node, and charges nothing', async () => {
    const id = await atStep4();
    peers.script.push({ untilStep: 6, untilStopped: true });
    expect(await restart(id, { attempt: 1 })).toMatchObject({ status: 'running', message: 'Restarting' });
    await restart(id, { attempt: 1 });
    const second = await waitFor(async () => {
      const job = await get(id);
      return job.progress?.step === 6 ? job : undefined;
    });
    expect(second.attempts).toMatchObject([{ attempt: 1 }, { attempt: 2, resumedFromStep: 4 }]);
    expect(await specOf(second)).toMatchObject({ attempt: 2, desired: 'running', avoidNodes: ['gpu-1'] });
    expect(await query('select retries, interruptions, crashes from training.runs')).toEqual([
      { retries: 0, interruptions: 0, crashes: 0 },
    ]);
    await restart(id, { attempt: 1 }); // answered late, sent again
    await restart(id, { avoidNode: false });
    await expectWhole(id, 3);
    expect(await specOf(second)).not.toHaveProperty('avoidNodes');
    expect(await messages(id)).toEqual(
      expect.arrayContaining([
        'Restarting elsewhere: attempt 1 on gpu-1 is being ended',
        'Attempt 2 goes on from step 4.',
        'Restarting: attempt 2 is being ended',
        'Attempt 3 goes on from step 4.',
      ]),
    );
  });

  it('is refused where nothing is live, and does not take a cancellation back', async () => {
    const refused = { code: 'job.not-restartable' };
    const id = await atStep4();
    const waiting = await create();
    await until(waiting.id, 'queued');
    await expect(restart(waiting.id)).rejects.toMatchObject(refused);
    await bus.request(cancelJob, { jobId: id });
    await expect(restart(id)).rejects.toMatchObject(refused);
    await until(id, 'cancelled');
    await expect(restart(id)).rejects.toMatchObject(refused);
    await until(waiting.id, 'succeeded');
  });

  it.each(['Restarting', 'Attempt 2 goes on from step 4'])(
    'is done once, whatever crashes at "%s"',
    async (message) => {
      const id = await atStep4();
      const seen = async (): Promise<boolean> =>
        (await stream(id)).some(({ type, data }) => type === 'job' && data['message'] === message);
      await restart(id);
      await waitFor(seen, { intervalMs: 1 });
      await crash();
      service = await start();
      await expectWhole(id, 2);
    },
  );
});

describe('a crash', () => {
  const phases = [
    'validating',
    'preparing',
    'planning',
    'queued',
    'scheduling',
    'training',
    'registering',
    'evaluating',
  ] as const;

  it.each(phases)('around the phase "%s" and a new start end the same, with one model', async (phase) => {
    peers.script.push({ untilStep: 10, checkpointSteps: [5] });
    const { id } = await create();
    const seen = async (): Promise<boolean> => {
      const entries = await stream(id);
      return entries.some(({ type, data }) => type === 'job' && data['phase'] === phase);
    };
    await waitFor(seen, { intervalMs: 1 });
    await crash();
    service = await start();
    const job = await until(id, 'succeeded');
    expect((await losses(id)).map(({ step }) => step)).toEqual(numbered(10));
    expect(peers.models.size).toBe(1);
    expect(job.attempts).toHaveLength(1);
    expect(peers.mostAtOnce).toBe(1);
    expect(await outbox(id)).toEqual(['luthier.v1.event.training.job.succeeded']);
    const entries = await stream(id);
    expect(entries.map((entry) => entry.id)).toEqual(numbered(entries.length));
    const made = (await messages(id)).filter((message) => message.startsWith('New fine-tuned model'));
    expect(made).toHaveLength(1);
  });
});

describe('the live stream', () => {
  it('has neither gap nor double for a reader that follows it while many write and some roll back', async () => {
    peers.datasetState = 'preparing';
    const { id } = await create();
    const store = service.app.get(JobStore, { strict: false });
    let writing = true;
    const write = async (n: number): Promise<void> => {
      await store.change(id, async (tx) => {
        await tx.event({ level: 'info', type: 'message', message: `Note ${n}` });
        if (n % 3 === 0) throw new Error('rolled back');
      });
    };
    const writers = Promise.allSettled(numbered(60).map(write)).then((results) => {
      writing = false;
      return results.filter(({ status }) => status === 'fulfilled').length;
    });
    const read: StreamEntry[] = [];
    while (writing) read.push(...(await store.readStream(id, read.at(-1)?.id ?? 0, 7)));
    const kept = await writers;
    for (;;) {
      const more = await store.readStream(id, read.at(-1)?.id ?? 0, 7);
      if (more.length === 0) break;
      read.push(...more);
    }
    expect(kept).toBe(40);
    expect(read.map((entry) => entry.id)).toEqual(numbered(read.length));
    expect(read.filter(({ data }) => String(data['message']).startsWith('Note'))).toHaveLength(40);
  });
});
