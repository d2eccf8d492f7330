import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { planJob, runRequest } from '@luthier/contracts';
import type { JobRecord, JobRequest, ModelRecord, RunRequest } from '@luthier/contracts';
import { readArtifact } from '@luthier/artifacts';
import { TrainingFixture } from './testing/training-fixture.js';

let training: TrainingFixture;
beforeAll(async () => {
  training = await TrainingFixture.start();
  const { peers } = training;
  peers.inventory.profiles.forEach(({ capabilities }) => {
    capabilities.tunings = ['lora', 'full'];
    capabilities.features = ['pissa', 'modules-to-save'];
  });
});
afterAll(() => training.stop());

const LORA = {
  type: 'lora',
  r: 8,
  loraAlpha: 16,
  loraDropout: 0,
  targetModules: ['q_proj', 'v_proj'],
  useRslora: false,
} satisfies JobRequest['tuning'];

/** A model that a job has made. */
async function tuned(patch: Partial<JobRequest> = {}): Promise<ModelRecord> {
  const { peers } = training;
  const jobId = await training.create({ validationFile: peers.file(), tuning: LORA, ...patch });
  await training.until(jobId, 'succeeded');
  const model = peers.models.get(jobId);
  if (!model) throw new Error(`${jobId} has made no model`);
  return model;
}
const requestOf = async ({ runId }: Pick<JobRecord, 'runId'>): Promise<RunRequest> =>
  runRequest.parse(
    JSON.parse((await readArtifact(training.peers.store, `artifact://runs/${runId}/request.json`)).toString('utf8')),
  );

describe('a job that starts from a tuned model', () => {
  it('goes on from its adapter, in the form that this has, and is compared with it', async () => {
    const { peers } = training;
    const first = await tuned();
    const jobId = await training.create({ model: first.name, validationFile: peers.file() });
    const job = await training.until(jobId, 'succeeded');
    const request = await requestOf(job);
    expect(first.files).toEqual({ form: 'adapter', adapter: request.adapter });
    expect(peers.base.files).toEqual({ form: 'whole', weights: request.model });
    expect(request.tuning).toEqual(LORA);
    expect(job).toMatchObject({ model: first.name, baseModelId: peers.base.id, tuning: LORA });
    expect(peers.models.get(jobId)).toMatchObject({ baseModelId: peers.base.id, files: { form: 'adapter' } });
    expect(peers.evaluations.get(jobId)).toBe(first.id);
  });

  it('keeps embeddings and head that its adapter has beside A and B', async () => {
    const tuning = { ...LORA, modulesToSave: ['embed_tokens', 'lm_head'] } satisfies JobRequest['tuning'];
    const first = await tuned({ tuning });
    const { runId } = await training.until(await training.create({ model: first.name }), 'succeeded');
    expect((await requestOf({ runId })).tuning).toEqual(tuning);
  });

  it('takes what PiSSA has left for the plain adapter of twice the rank that it is', async () => {
    const first = await tuned({ tuning: { ...LORA, initLoraWeights: 'pissa', useRslora: true } });
    const { runId } = await training.until(await training.create({ model: first.name }), 'succeeded');
    const { tuning } = await requestOf({ runId });
    expect(tuning).toEqual({ ...LORA, useRslora: true, r: 16, loraAlpha: 16 * Math.SQRT2 });
  });

  it('takes a whole model for its base', async () => {
    const { peers } = training;
    const first = await tuned({ tuning: { type: 'full' } });
    const jobId = await training.create({ model: first.name, validationFile: peers.file(), tuning: LORA });
    const request = await requestOf(await training.until(jobId, 'succeeded'));
    expect(first.files).toEqual({ form: 'whole', weights: request.model });
    expect(request.adapter).toBeUndefined();
    expect(peers.models.get(jobId)).toMatchObject({ baseModelId: first.id });
    expect(peers.evaluations.get(jobId)).toBe(first.id);
  });

  it('is planned with the form of the adapter', async () => {
    const { peers, bus } = training;
    const first = await tuned();
    const wish = {
      ...{ trainingFile: peers.file(), validationFile: null, generalFile: null, mix: null, suffix: null, seed: 7 },
      ...{ metadata: {}, method: { type: 'supervised' as const }, tuning: null, hyperparameters: {} },
      ...{ cutoffLength: null, autoFix: false },
    };
    const ofAdapter = await bus.request(planJob, { ...wish, model: first.name });
    const ofBase = await bus.request(planJob, { ...wish, model: peers.base.name });
    expect(ofAdapter.verdict).toBe('fits');
    expect(ofAdapter.totalMib).toBeLessThan(ofBase.totalMib); // rank 8 on two matrices, in place of 16 on all
  });

  it('refuses another form, a reward model, and a model whose job is not known', async () => {
    const { peers } = training;
    const first = await tuned();
    const create = (patch: Partial<JobRequest>): Promise<string> => training.create({ model: first.name, ...patch });
    await expect(create({ tuning: LORA })).rejects.toMatchObject({ code: 'request.invalid', param: 'tuning' });
    await expect(
      create({
        method: { type: 'reward', centerRewardsCoefficient: 0 },
        trainingFile: peers.file({ rowKind: 'pairs' }),
      }),
    ).rejects.toMatchObject({ code: 'request.invalid', param: 'method.type' });
    peers.models.set('points', { ...first, name: 'gives-points', gives: 'points' });
    await expect(create({ model: 'gives-points' })).rejects.toMatchObject({ code: 'model.unsupported' });
    peers.models.set('stray', { ...first, name: 'stray', jobId: null });
    await expect(create({ model: 'stray' })).rejects.toMatchObject({
      code: 'model.unsupported',
      message: 'The job that made "stray" is not known here',
    });
  });
});
