import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { idTail } from '@luthier/contracts';
import type { RunSpec } from '@luthier/contracts';
import { canRunJobSet } from '@luthier/testing/kube';
import type { Controller } from '@luthier/testing/kube';
import type { Judge } from '../testing/cluster/calls.js';
import { objectOf } from '../testing/cluster/run-plans.js';
import { TrainingCluster } from '../testing/cluster/training-cluster.js';
import type { ClusterProfile } from './cluster-profile.js';

const inCluster = (await canRunJobSet()) ? describe : describe.skip;
const TWO_NODES: Partial<RunSpec> = {
  resources: { nodes: 2, devicesPerNode: 0, deviceMemoryMib: 0, cpu: 1, memoryMib: 64, scratchMib: 64 },
};

inCluster('a trainer that dies while what is installed changes', () => {
  let place: TrainingCluster;
  let jobSet: Controller | undefined;
  let died: Promise<void>;
  let tail: string;

  /** Dies as soon as the API has made the object, before it has heard so. */
  const startToDie = async (step: 'POST jobs' | 'POST jobsets', carrier?: ClusterProfile['carrier']): Promise<void> => {
    const dead = Promise.withResolvers<void>();
    died = dead.promise;
    const judge: Judge = ({ what, about }) => (what === step && about.includes(tail) ? 'die-after' : 'pass');
    await place.startTrainer({ judge, died: dead.resolve, settings: place.settingsWith(carrier) });
  };
  const takeOver = async (carrier?: ClusterProfile['carrier']): Promise<void> => {
    await place.dropLease();
    await place.startTrainer({ settings: place.settingsWith(carrier) });
  };
  const put = (): Promise<string> =>
    place.put({ type: 'done', afterMs: 300 }, TWO_NODES, (runId) => void (tail = idTail(runId)));
  const made = (runId: string): { jobs: number; jobsets: number } => ({
    jobs: place.witness.made.get(objectOf(runId))?.size ?? 0,
    jobsets: place.jobSetWitness.made.get(objectOf(runId))?.size ?? 0,
  });

  beforeAll(async () => {
    place = await TrainingCluster.start();
  }, 3_600_000);
  beforeEach(() => {
    tail = 'none yet';
  });
  afterEach(async () => {
    await place.stopTrainers();
    await jobSet?.stop();
    jobSet = undefined;
  });
  afterAll(() => place.stop());

  it('has made a Job, and finds it although JobSet is there by now: no JobSet is made', async () => {
    await startToDie('POST jobs');
    const runId = await put();
    await died;
    jobSet = await place.cluster.startJobSet();
    await takeOver();
    expect(await place.see(runId)).toMatchObject({ reason: 'succeeded', attempt: 1, incarnation: 1 });
    expect(made(runId)).toEqual({ jobs: 1, jobsets: 0 });
    await place.untilNoObjects();
  });

  it('has made a JobSet, and finds it although the profile wants Jobs by now: no Job of that name is made', async () => {
    jobSet = await place.cluster.startJobSet();
    await startToDie('POST jobsets');
    const runId = await put();
    await died;
    await takeOver({ type: 'job' });
    expect(await place.see(runId)).toMatchObject({ reason: 'succeeded', attempt: 1, incarnation: 1 });
    expect(made(runId)).toEqual({ jobs: 0, jobsets: 1 });
    await place.untilNoObjects();
  });

  it('has made a JobSet that went with JobSet itself: the attempt begins as a Job', async () => {
    jobSet = await place.cluster.startJobSet();
    await startToDie('POST jobsets');
    const runId = await put();
    await died;
    await jobSet.stop();
    jobSet = undefined;
    await takeOver();
    expect(await place.see(runId)).toMatchObject({ reason: 'succeeded', attempt: 1, incarnation: 1 });
    expect(made(runId)).toEqual({ jobs: 1, jobsets: 1 });
    await place.untilNoObjects();
  });
});
