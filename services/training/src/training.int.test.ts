import { describe, expect, it } from '@jest/globals';
import { createJob, listJobCheckpoints, listJobs, newId, planJob } from '@luthier/contracts';
import type { JobRequest } from '@luthier/contracts';
import { waitFor } from '@luthier/testing';
import { numbered } from './testing/training-fixture.js';
import type { TrainingFixture } from './testing/training-fixture.js';
import { trainingOfEachTest } from './testing/training-of-each-test.js';

let training: TrainingFixture;
trainingOfEachTest((fresh) => (training = fresh));

const REWARD = { type: 'reward', centerRewardsCoefficient: 0.01 } as const;
const GRPO: JobRequest['method'] = {
  ...{ type: 'grpo', groupSize: 4, beta: 0, epsilon: 0.2, temperature: 1, maxCompletionTokens: 8, lossType: 'grpo' },
  grader: {
    ...{ type: 'string_check', name: 'right', operation: 'eq' },
    ...{ input: '{{sample.output_text}}', reference: '{{item.answer}}' },
  },
};
const DPO = { type: 'dpo', loss: 'sigmoid', beta: 0.1, labelSmoothing: 0 } as const;
const pairs = (): string => training.peers.file({ rowKind: 'pairs' });

describe('a job', () => {
  it('goes from files to a registered model, with curve, events and a gap-free live stream', async () => {
    training.peers.script.push({ checkpointSteps: [5, 10], lostSteps: [4] });
    const { id } = await training.submit();
    const job = await training.until(id, 'succeeded');
    expect(job).toMatchObject({
      phase: 'done',
      tunedModelId: training.peers.models.get(id)?.id,
      fineTunedModel: training.peers.models.get(id)?.name,
      trainedTokens: 1600,
      plan: { verdict: 'fits', steps: 60 },
      attempts: [{ attempt: 1, code: null }],
      error: null,
    });
    expect((await training.losses(id)).map(({ step }) => step)).toEqual(numbered(10));
    await waitFor(async () => {
      const { items } = await training.bus.request(listJobCheckpoints, { jobId: id });
      return items.length === 2 && items.every(({ step }) => step === 5 || step === 10);
    });
    const said = await training.messages(id);
    for (const part of [
      `Created fine-tuning job: ${id}`,
      'Validating training file: file-',
      'Step 10/10: training loss=2.90',
      'New fine-tuned model created: ft:tiny-chat',
    ]) {
      expect(said.some((message) => message.includes(part))).toBe(true);
    }
    expect(said.at(-1)).toBe('The job has successfully completed');
    expect(await training.announced(id)).toMatchObject([{ unprovenBecause: null }]);
    const entries = await training.stream(id);
    expect(entries.map((entry) => entry.id)).toEqual(numbered(entries.length));
    expect(entries.at(-1)).toMatchObject({ type: 'job', data: { status: 'succeeded' } });
    expect(await training.outbox(id)).toEqual(['luthier.v1.event.training.job.succeeded']);
    const runId = job.runId ?? '';
    await waitFor(async () => (await training.peers.bucket.get('spec', runId))?.value.closed);
    expect((await training.peers.bucket.get('spec', runId))?.value.seen).toEqual({ attempt: 1, objectUid: 'uid-1' });
  });

  it('is created once however often it is asked for', async () => {
    const request = training.request();
    await Promise.all([training.bus.request(createJob, request), training.bus.request(createJob, request)]);
    await training.bus.request(createJob, request);
    expect((await training.bus.request(listJobs, {})).items).toHaveLength(1);
    await training.until(request.jobId, 'succeeded');
  });

  it('fails at validation, with the first issues, when a file has no usable row', async () => {
    const { id } = await training.submit({ trainingFile: training.peers.unusableFile() });
    const job = await training.until(id, 'failed');
    expect(job.error).toMatchObject({ code: 'file.unusable', hint: 'Add it.' });
    expect(job.error?.message).toContain('line 3: The field "messages" is missing.');
    expect(job.runId).toBeNull();
    expect(await training.outbox(id)).toEqual(['luthier.v1.event.training.job.failed']);
  });

  it('fails before queueing, with alternatives, when it can never fit', async () => {
    for (const profile of training.peers.inventory.profiles) profile.memoryMib = 1_500;
    training.peers.longestRowTokens = 8_000;
    const { id } = await training.submit({ cutoffLength: 8_000 });
    const job = await training.until(id, 'failed');
    expect(job.error?.code).toBe('plan.does-not-fit');
    expect(job.plan?.alternatives.length).toBeGreaterThan(0);
    expect(job.error?.change).toEqual(job.plan?.alternatives[0]?.change);
    expect((await training.stream(id)).some(({ data }) => data['status'] === 'queued')).toBe(false);
  });

  it('is refused at submit with the field at fault', async () => {
    await expect(training.submit({ trainingFile: newId('file') })).rejects.toMatchObject({
      code: 'file.not-found',
      param: 'training_file',
    });
    await expect(training.submit({ model: 'no-such' })).rejects.toMatchObject({
      code: 'model.not-found',
      param: 'model',
    });
    await expect(training.submit({ tuning: { type: 'full' } })).rejects.toMatchObject({
      code: 'model.unsupported',
      param: 'tuning.type',
    });
    await expect(training.submit({ hyperparameters: { neftuneNoiseAlpha: 5 } })).rejects.toMatchObject({
      code: 'model.unsupported',
      param: 'hyperparameters.neftuneNoiseAlpha',
      hint: expect.stringContaining('LUTHIER_LOCAL_RUNTIME=torch'),
    });
    await expect(training.submit({ hyperparameters: { optimizer: 'muon' } })).rejects.toMatchObject({
      code: 'request.invalid',
      param: 'hyperparameters.optimizer',
    });
    const stopping = { evaluationSteps: 4, earlyStoppingPatience: 2 };
    await expect(training.submit({ hyperparameters: stopping, validationFile: null })).rejects.toMatchObject({
      code: 'request.invalid',
      param: 'hyperparameters.earlyStoppingPatience',
      hint: expect.stringContaining('validation_file'),
    });
    await expect(training.submit({ hyperparameters: { earlyStoppingPatience: 2 } })).rejects.toMatchObject({
      code: 'request.invalid',
      param: 'hyperparameters.earlyStoppingPatience',
      hint: expect.stringContaining('eval_steps'),
    });
    await expect(
      training.submit({
        method: REWARD,
        trainingFile: pairs(),
        validationFile: null,
        generalFile: null,
        tuning: { type: 'full' },
      }),
    ).rejects.toMatchObject({ param: 'tuning.type', hint: expect.stringContaining('"lora"') });
    await expect(
      training.submit({
        method: REWARD,
        trainingFile: pairs(),
        validationFile: null,
        generalFile: training.peers.file(),
      }),
    ).rejects.toMatchObject({ code: 'request.invalid', param: 'general_file' });
    await expect(
      training.submit({ method: { type: 'orpo', beta: 0.1 }, trainingFile: pairs(), validationFile: null }),
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
      () => ({ mix: { fileId: training.peers.file({ rowKind: 'ratings' }), share: 0.1 } }),
      'mix.file_id',
      /"kto"/,
    ],
    [
      'text as questions',
      () => ({ generalFile: training.peers.file({ rowKind: 'text' }) }),
      'general_file',
      /questions/,
    ],
  ])('is refused with %s, and told what would fit', async (_what, patch, param, hint) => {
    const refused = { code: 'file.wrong-rows', param, hint: expect.stringMatching(hint) };
    await expect(training.submit(patch())).rejects.toMatchObject(refused);
  });

  it('is planned with the same refusals', async () => {
    const { jobId: _, ...wish } = training.request({ mix: { fileId: pairs(), share: 0.1 } });
    await expect(training.bus.request(planJob, wish)).rejects.toMatchObject({
      code: 'file.wrong-rows',
      param: 'mix.file_id',
    });
  });

  it('fails before anything is prepared when a file turns out to hold other rows', async () => {
    const trainingFile = training.peers.file({ state: 'validating', rowKind: null, usableRows: 0 });
    const { id } = await training.submit({ trainingFile });
    training.peers.reports.set(trainingFile, {
      ...training.peers.report(trainingFile),
      state: 'done',
      rowKind: 'pairs',
      usableRows: 5,
    });
    const job = await training.until(id, 'failed');
    expect(job).toMatchObject({ phase: 'validating', trainDatasetId: null, error: { code: 'file.wrong-rows' } });
    expect(job.error?.hint).toContain('"dpo"');
  });

  it('compares pairs where a runtime can, at a tenth of the supervised rate', async () => {
    for (const { capabilities } of training.peers.inventory.profiles) capabilities.methods.push('dpo');
    const { id } = await training.submit({ method: DPO, trainingFile: pairs(), validationFile: pairs() });
    const job = await training.until(id, 'succeeded');
    expect(job).toMatchObject({ method: DPO, hyperparameters: { globalBatch: 16, learningRate: 2e-4 } });
    expect(training.peers.prepared.map(({ role, kind }) => `${role} ${kind}`)).toEqual(
      expect.arrayContaining(['train preference', 'held-out preference']),
    );
  });

  it('makes a reward model that is registered as one, and asks it nothing', async () => {
    for (const { capabilities } of training.peers.inventory.profiles) capabilities.methods.push('reward');
    const { id } = await training.submit({
      method: REWARD,
      trainingFile: pairs(),
      validationFile: pairs(),
      generalFile: null,
    });
    const job = await training.until(id, 'succeeded');
    expect(training.peers.evaluations.has(id)).toBe(false);
    expect(job.message).toMatch(/unproven: A reward model gives points instead of answers/);
    expect(training.peers.models.get(id)).toMatchObject({ gives: 'points' });
  });

  it('learns from graded answers where the grader knows the fields of the rows, and says what shows its worth', async () => {
    for (const { capabilities } of training.peers.inventory.profiles) capabilities.methods.push('grpo');
    const prompts = (...itemFields: string[]): string => training.peers.file({ rowKind: 'prompts', itemFields });
    const files = { validationFile: prompts('answer', 'place'), generalFile: null };
    await expect(training.submit({ method: GRPO, ...files, trainingFile: prompts('place') })).rejects.toMatchObject({
      ...{ code: 'request.invalid', param: 'method.grpo.grader' },
      hint: expect.stringContaining('{{item.place}}'),
    });
    const { id } = await training.submit({ method: GRPO, ...files, trainingFile: prompts('answer') });
    const job = await training.until(id, 'succeeded');
    expect(training.peers.prepared.map(({ role, kind }) => `${role} ${kind}`)).toContain('train prompts');
    expect(job.message).toMatch(/unproven: Prompts hold no answers to compare with/);
    expect(training.peers.evaluations.has(id)).toBe(false);
  });

  it('succeeds without proof when its evaluation fails', async () => {
    training.peers.evaluationState = 'failed';
    const { id } = await training.submit();
    const job = await training.until(id, 'succeeded');
    expect(job.message).toBe('The job has succeeded, but the model is unproven: No answers came back.');
    expect((await training.messages(id)).at(-1)).toBe(job.message);
    expect(job.evaluationId).not.toBeNull();
    expect(await training.announced(id)).toMatchObject([{ unprovenBecause: 'No answers came back.' }]);
  });

  it('without rows to compare on has no evaluation and says that nothing is proven', async () => {
    const { id } = await training.submit({ validationFile: null, generalFile: null });
    const job = await training.until(id, 'succeeded');
    expect(training.peers.evaluations.has(id)).toBe(false);
    expect(job.evaluationId).toBeNull();
    expect(job.message).toMatch(
      /^The job has succeeded, but the model is unproven: .*no held-out rows.*validation_file/,
    );
    expect((await training.messages(id)).at(-1)).toBe(job.message);
    expect(await training.announced(id)).toMatchObject([
      { modelId: job.tunedModelId, unprovenBecause: expect.stringContaining('no held-out rows') },
    ]);
  });

  it('with general questions alone is still asked what was forgotten, and says that nothing is proven', async () => {
    training.peers.verdict = 'unproven';
    const { id } = await training.submit({ validationFile: null, generalFile: training.peers.file() });
    const job = await training.until(id, 'succeeded');
    expect(training.peers.evaluations.has(id)).toBe(true);
    expect(job.evaluationId).not.toBeNull();
    expect(job.message).toBe('The job has succeeded, but the model is unproven: As was found.');
  });

  it('can be planned without being submitted', async () => {
    const { jobId: _, ...wish } = training.request();
    const plan = await training.bus.request(planJob, wish);
    expect(plan).toMatchObject({ verdict: 'fits', steps: 60, tokens: 12_000 });
    expect(plan.estimatedSeconds).toBeGreaterThan(0);
  });
});
