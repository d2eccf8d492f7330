import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { RunNews } from '@luthier/contracts';
import { waitFor } from '@luthier/testing';
import { canRunKubernetes } from '@luthier/testing/kube';
import { TrainingCluster } from '../../testing/cluster/training-cluster.js';
import type { TrainerLife } from '../../testing/cluster/training-cluster.js';

const inCluster = (await canRunKubernetes()) ? describe : describe.skip;

inCluster('what a cluster says of runs, with exactly the trainer’s rights', () => {
  let place: TrainingCluster;
  let trainer: TrainerLife;
  beforeAll(async () => {
    place = await TrainingCluster.start();
    trainer = await place.startTrainer();
  }, 900_000);
  afterAll(() => place.stop());

  const until = (runId: string, reasons: readonly string[]): Promise<RunNews['event'][]> =>
    waitFor(
      async () => {
        const said = (await place.harness.news(runId)).map(({ event }) => event);
        return reasons.every((each) => said.some(({ reason }) => reason === each)) ? said : undefined;
      },
      { intervalMs: 200, what: `${reasons.join(', ')} of ${runId}` },
    );

  it('is told as the Job controller and the scheduler say it, once, also by the next trainer', async () => {
    const runId = await place.put({ type: 'obeys' });
    const said = await until(runId, ['SuccessfulCreate', 'Scheduled']);
    expect(said.find(({ reason }) => reason === 'Scheduled')).toMatchObject({
      ...{ what: 'Pod.Scheduled', level: 'info', count: 1, object: { kind: 'Pod' } },
      ...{ node: expect.stringContaining(place.namespace), excerpt: expect.stringContaining('Successfully assigned') },
    });
    await trainer.stop();
    trainer = await place.startTrainer();
    expect(await place.see(runId)).toMatchObject({ reason: 'stopped' });
    const uids = (await place.harness.news(runId)).map(({ event }) => `${event.uid} ${event.count}`);
    expect(uids).toEqual([...new Set(uids)]);
  });

  it('is a warning when no node takes the pod', async () => {
    const one = { nodes: 1, devicesPerNode: 0, deviceMemoryMib: 0, cpu: 1, scratchMib: 64 };
    const resources = { ...one, memoryMib: 64 * 1024 * 1024 }; // more than any node has
    const runId = await place.put({ type: 'done', afterMs: 100 }, { resources });
    const said = await until(runId, ['FailedScheduling']);
    expect(said.find(({ reason }) => reason === 'FailedScheduling')).toMatchObject({
      ...{ what: 'Pod.FailedScheduling', level: 'warn', message: 'No node takes a pod of the run at present.' },
      excerpt: expect.stringMatching(/0\/\d+ nodes are available/),
    });
  });
});
