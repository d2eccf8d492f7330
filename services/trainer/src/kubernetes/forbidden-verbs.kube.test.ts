import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { canRunKubernetes } from '@luthier/testing/kube';
import { TrainerService } from '../index.js';
import { TrainingCluster } from '../testing/cluster/training-cluster.js';
import type { TrainerLife } from '../testing/cluster/training-cluster.js';

const inCluster = (await canRunKubernetes()) ? describe : describe.skip;

inCluster('a trainer whose account lacks a right', () => {
  let place: TrainingCluster;
  let trainer: TrainerLife;
  beforeAll(async () => {
    place = await TrainingCluster.start();
    trainer = await place.startTrainer();
  }, 900_000);
  afterAll(() => place.stop());

  it.each([
    ['create', 'jobs', 'create jobs.batch'],
    ['patch', 'jobs', 'patch jobs.batch'],
    ['patch', 'configmaps', 'patch configmaps'],
    ['patch', 'secrets', 'patch secrets'],
    ['patch', 'services', 'patch services'],
  ])('to %s %s says so on the run, and goes on once it has it', async (verb, resource, named) => {
    await place.role.forbid(verb, resource);
    const runId = await place.put({ type: 'done', afterMs: 100 });
    const hindered = await place.harness.waitForStatus(runId, ({ reason }) => reason === 'cluster-forbidden');
    expect(hindered).toMatchObject({ params: { cause: named }, excerpt: expect.stringContaining(`cannot ${verb}`) });
    expect(hindered.message).toContain(named);
    await place.role.allow();
    const status = await place.see(runId);
    expect(status).toMatchObject({ reason: 'succeeded', attempt: 1 });
    expect(status.excerpt).toBeUndefined();
    await place.untilNoObjects();
    expect(place.released([runId])).toEqual([1]);
  });

  it('to delete jobs says so while it stops a run, and does it once it may', async () => {
    const runId = await place.put({ type: 'deaf' });
    await place.harness.waitForStatus(runId, ({ phase }) => phase === 'running');
    await place.role.forbid('delete', 'jobs');
    const ended = place.see(runId);
    await place.harness.waitForStatus(
      runId,
      ({ phase, excerpt }) => phase === 'stopping' && excerpt?.includes('cannot delete resource "jobs"') === true,
    );
    await place.role.allow();
    expect(await ended).toMatchObject({ reason: 'stopped' });
    await place.untilNoObjects();
  });

  it('to list jobs starts all the same, is told of by the doctor, and decides once it has it', async () => {
    await trainer.stop();
    await place.role.forbid('list', 'jobs');
    trainer = await place.startTrainer();
    const runId = await place.put({ type: 'done', afterMs: 100 });
    const { cluster } = trainer.service.app.get(TrainerService);
    const report = await cluster?.inventory.check();
    expect(report?.checks.find(({ topic }) => topic === 'permissions')).toMatchObject({
      ...{ id: 'permissions-missing', state: 'fail' },
      params: { here: expect.stringContaining('list jobs.batch') },
    });
    expect(await place.harness.status(runId)).toBeUndefined();
    await place.role.allow();
    expect(await place.see(runId)).toMatchObject({ reason: 'succeeded' });
  });
});
