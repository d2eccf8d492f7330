import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { PRIORITIES } from '@luthier/contracts';
import type { RunSpec, RunStatus } from '@luthier/contracts';
import { waitFor } from '@luthier/testing';
import { canRunKubeflowTrainer, canRunKueue, startControlPlane } from '@luthier/testing/kube';
import type { ControlPlane, Controller, Fate, Kueue } from '@luthier/testing/kube';
import { ClusterPlace, Fates, fakeProfile } from '../testing/cluster-place.js';
import { PRIORITY_CLASSES, makeQueues, removeKueueObjects } from '../testing/kueue-objects.js';
import { objectNameOf } from './names.js';

const inCluster = (await canRunKueue()) && (await canRunKubeflowTrainer()) ? describe : describe.skip;
const RUNTIME_FILE = new URL('../../../../docs/reference/training-runtime.yaml', import.meta.url);
const PROCESS: Fate = { type: 'process' };
/** Of 8 GPUs in the queue all of them, on two nodes. */
const QUEUED: Partial<RunSpec> = {
  ...{ queue: 'external', queueName: 'team', stopGraceSeconds: 5 },
  resources: { nodes: 2, devicesPerNode: 4, deviceMemoryMib: 0, cpu: 0.1, memoryMib: 64, scratchMib: 64 },
};

inCluster('runs of two nodes in a queue of Kueue', () => {
  const fates = new Fates();
  let cluster: ControlPlane;
  let jobSet: Controller;
  let kubeflow: Controller;
  let kueue: Kueue;
  let place: ClusterPlace;

  beforeAll(async () => {
    cluster = await startControlPlane();
    jobSet = await cluster.startJobSet();
    kubeflow = await cluster.startKubeflowTrainer();
    await cluster.apply(await readFile(RUNTIME_FILE, 'utf8'));
    kueue = await cluster.startKueue();
    const names = ['queued-nodes-1', 'queued-nodes-2'];
    await cluster.startKubelet({ fateOf: fates.of, nodes: names.map((name) => ({ name, gpus: 8 })) });
    const gpu = {
      ...{ deviceResource: 'nvidia.com/gpu', preRunningSeconds: 60 },
      priorityClasses: PRIORITY_CLASSES,
    };
    const carrier = { type: 'train-job', runtime: 'luthier', runtimeKind: 'ClusterTrainingRuntime' } as const;
    const profiles = [
      fakeProfile('sets', gpu),
      fakeProfile('jobs', { ...gpu, carrier: { type: 'job' } }),
      fakeProfile('train-jobs', { ...gpu, carrier }),
    ];
    place = await ClusterPlace.start(cluster, { fates, profiles, settings: { queueRecheckSeconds: 0.5 } });
    await makeQueues(cluster, place.namespace);
  }, 3_600_000);
  afterAll(async () => {
    await place.stop();
    // Before the kinds: of a TrainJob whose runtime is gone it refuses every change, also the one that lets it go.
    await kueue.stop();
    await removeKueueObjects(cluster, place.namespace);
    await kubeflow.stop();
    await jobSet.stop();
    await cluster.stop();
  });

  it.each([
    ['JobSet', 'sets', 'jobset.x-k8s.io/v1alpha2', 'jobsets', 5],
    ['Job', 'jobs', 'batch/v1', 'jobs', 5],
    ['TrainJob', 'train-jobs', 'trainer.kubeflow.org/v1alpha1', 'trainjobs', 60],
  ])(
    'as a %s make room for a more urgent one, and go on from their newest checkpoint as the same attempt, both nodes anew',
    async (kind, profile, apiVersion, plural, graceSeconds) => {
      const spec = await place.run(profile, PROCESS, QUEUED, { steps: 100_000, stepMs: 20, checkpointEverySteps: 20 });
      const first = await place.running(spec);
      expect(first).toMatchObject({ attempt: 1, incarnation: 1 });
      expect(first.pods).toHaveLength(2);
      const root = await cluster.api.get(`${place.path(apiVersion, plural)}/${objectNameOf(spec.runId, 1)}`);
      expect(root).toMatchObject({ kind, metadata: { uid: first.objectUid } });
      await place.harness.waitForCheckpoint(spec.runId);

      const urgent = await place.run(profile, { type: 'run' }, { ...QUEUED, priority: PRIORITIES.high });
      const setBack = await place.until(spec, ({ phase }) => phase === 'queued');
      expect(setBack).toMatchObject({ reason: 'preempted', attempt: 1, incarnation: 1, objectUid: first.objectUid });
      await place.running(urgent);
      await waitFor(async () => (await place.podsOf(spec)).length === 0);

      await place.change(urgent, { desired: 'stopped', stopReason: 'cancel' });
      await place.ended(urgent);
      const second = await place.until(spec, isSecond);
      expect(second).toMatchObject({ attempt: 1, objectUid: first.objectUid });
      expect(second.pods).toHaveLength(2);
      expect(second.pods.filter((uid) => first.pods.includes(uid))).toEqual([]);
      const graces = (await place.podsOf(spec)).map((pod) => pod.spec.terminationGracePeriodSeconds);
      expect(graces).toEqual([graceSeconds, graceSeconds]);
      const started = await waitFor(async () =>
        (await place.harness.messages(spec.runId)).find(
          ({ incarnation, event }) => incarnation === 2 && event.type === 'started',
        ),
      );
      expect(started.event).toMatchObject({ resumeStep: await newestOf(spec) });
      await place.change(spec, { desired: 'stopped', stopReason: 'cancel', generation: 3 });
      expect(await place.ended(spec)).toMatchObject({ reason: 'stopped', attempt: 1, incarnation: 2 });
    },
  );

  it.each([
    ['JobSet', 'sets'],
    ['TrainJob', 'train-jobs'],
  ])(
    'as a %s wait for the devices of both nodes, and say their place and how many are missing',
    async (_kind, profile) => {
      const first = await place.run(profile, { type: 'run' }, QUEUED);
      await place.running(first);
      const second = await place.run(profile, PROCESS, QUEUED);
      const waiting = await place.until(second, ({ params }) => params?.['needed'] === 8);
      expect(waiting).toMatchObject({ phase: 'queued', reason: 'waiting-in-queue', params: { position: 1 }, pods: [] });
      await place.change(first, { desired: 'stopped', stopReason: 'cancel' });
      expect(await place.ended(second)).toMatchObject({ reason: 'succeeded', attempt: 1, incarnation: 1 });
    },
  );

  /** Of the first incarnation. */
  async function newestOf({ runId }: RunSpec): Promise<number> {
    const steps = (await place.harness.messages(runId)).flatMap(({ incarnation, event }) =>
      incarnation === 1 && event.type === 'checkpoint-stored' ? [event.step] : [],
    );
    return Math.max(...steps);
  }
});

const isSecond = ({ phase, incarnation }: RunStatus): boolean => phase === 'running' && incarnation === 2;
