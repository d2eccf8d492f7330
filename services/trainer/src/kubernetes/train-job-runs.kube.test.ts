import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { checkCluster } from '@luthier/contracts';
import type { CheckTopic, RunSpec } from '@luthier/contracts';
import { waitFor } from '@luthier/testing';
import { canRunKubeflowTrainer, startControlPlane } from '@luthier/testing/kube';
import type { ControlPlane, Controller, Fate, KubeObject, Pod } from '@luthier/testing/kube';
import { ClusterPlace, Fates, fakeProfile } from '../testing/cluster-place.js';
import { LABEL, objectNameOf } from './names.js';

const COLLECTED = { what: 'what was made of the run to be gone' };
const RUNTIME_FILE = new URL('../../../../docs/reference/training-runtime.yaml', import.meta.url);
const inCluster = (await canRunKubeflowTrainer()) ? describe : describe.skip;
const TWO_NODES: Pick<RunSpec, 'resources'> = {
  resources: { nodes: 2, devicesPerNode: 0, deviceMemoryMib: 0, cpu: 0.1, memoryMib: 64, scratchMib: 64 },
};
const PROCESS: Fate = { type: 'process' };

inCluster('runs as TrainJobs of Kubeflow Trainer', () => {
  const fates = new Fates();
  let cluster: ControlPlane;
  let jobSet: Controller;
  let kubeflow: Controller;
  let place: ClusterPlace;

  const nameOf = ({ runId, attempt }: RunSpec): string => objectNameOf(runId, attempt);
  const trainJobs = (): string => place.path('trainer.kubeflow.org/v1alpha1', 'trainjobs');
  const namesAt = async (path: string): Promise<string[]> => {
    const { items } = await cluster.api.get<{ items: { metadata: { name: string } }[] }>(path);
    return items.map(({ metadata }) => metadata.name);
  };

  beforeAll(async () => {
    cluster = await startControlPlane();
    jobSet = await cluster.startJobSet();
    kubeflow = await cluster.startKubeflowTrainer();
    await cluster.apply(await readFile(RUNTIME_FILE, 'utf8'));
    const names = ['kubeflow-1', 'kubeflow-2'];
    await cluster.startKubelet({ fateOf: fates.of, nodes: names.map((name) => ({ name, gpus: 0 })) });
    const carrier = { type: 'train-job', runtimeKind: 'ClusterTrainingRuntime' } as const;
    const profiles = [
      fakeProfile('kubeflow', { carrier: { ...carrier, runtime: 'luthier' } }),
      fakeProfile('elsewhere', { carrier: { ...carrier, runtime: 'none-such' } }),
    ];
    place = await ClusterPlace.start(cluster, { fates, profiles });
  }, 3_600_000);
  afterAll(async () => {
    await place.stop();
    await kubeflow.stop();
    await jobSet.stop();
    await cluster.stop();
  });

  it('train as one TrainJob with the variables that Kubeflow sets, and leave nothing when training has closed them', async () => {
    const spec = await place.run('kubeflow', PROCESS, TWO_NODES, { steps: 20, stepMs: 50, checkpointEverySteps: 10 });
    const { objectUid, pods } = await place.running(spec);
    expect(pods).toHaveLength(2);
    const root = await cluster.api.get<KubeObject>(`${trainJobs()}/${nameOf(spec)}`);
    expect(root.metadata?.uid).toBe(objectUid);
    const found = await place.podsOf(spec);
    const master = found.map((pod) => variableOf(pod, 'PET_MASTER_ADDR'));
    expect(master).toEqual([0, 1].map(() => `${nameOf(spec)}-node-0-0.${nameOf(spec)}`));
    expect(found.map((pod) => variableOf(pod, 'PET_NNODES'))).toEqual(['2', '2']);
    expect(await place.ended(spec)).toMatchObject({
      ...{ reason: 'succeeded', incarnation: 1, outcome: { step: 20 }, objectUid },
    });
    await place.change(spec, { closed: true });
    const paths = [trainJobs(), place.path('jobset.x-k8s.io/v1alpha2', 'jobsets'), place.path('batch/v1', 'jobs')];
    const left = async (): Promise<string[]> => (await Promise.all(paths.map(namesAt))).flat();
    await waitFor(async () => (await left()).every((name) => !name.startsWith(nameOf(spec))), COLLECTED);
  });

  it('end with the reason of the one node that failed, and are not tried again by anybody', async () => {
    const message = '{"code":"data.bad","message":"row 3","step":3}';
    const failing: Fate = { type: 'end', exitCode: 40, message, afterMs: 1_000 };
    const isSecond = ({ metadata }: Pod): boolean => metadata.labels?.[LABEL.completionIndex] === '1';
    const spec = await place.run('kubeflow', (pod) => (isSecond(pod) ? failing : { type: 'run' }), TWO_NODES);
    expect(await place.ended(spec)).toMatchObject({ reason: 'bad-data', outcome: { code: 'data.bad' } });
    type Conditioned = KubeObject & { status?: { conditions?: { type: string; status: string }[] } };
    await waitFor(async () => {
      const { status } = await cluster.api.get<Conditioned>(`${trainJobs()}/${nameOf(spec)}`);
      return status?.conditions?.some(({ type, status: is }) => type === 'Failed' && is === 'True');
    });
    const jobs = await namesAt(place.path('batch/v1', 'jobs'));
    expect(jobs.filter((name) => name.startsWith(nameOf(spec)))).toEqual([`${nameOf(spec)}-node-0`]);
  });

  it('keep a checkpoint and leave when they are stopped', async () => {
    const behaviour = { steps: 100_000, stepMs: 20, checkpointEverySteps: 20 };
    const spec = await place.run('kubeflow', PROCESS, { ...TWO_NODES, stopGraceSeconds: 20 }, behaviour);
    await place.running(spec);
    await place.harness.waitForCheckpoint(spec.runId);
    await place.change(spec, { desired: 'stopped', stopReason: 'pause' });
    expect(await place.ended(spec)).toMatchObject({ reason: 'stopped', outcome: { code: 'runtime.interrupted' } });
  });

  it('are told of by the doctor: what is installed, and what does not fit', async () => {
    const { checks } = await place.bus.request(checkCluster, {});
    const of = (wanted: CheckTopic, profile: string | null = null): unknown =>
      checks.find((check) => check.topic === wanted && check.profile === profile);
    expect(of('carriers')).toMatchObject({ params: { installed: 'JobSet, Kubeflow Trainer', absent: '' } });
    expect(of('training-runtime', 'kubeflow')).toMatchObject({ id: 'training-runtime-fits' });
    expect(of('training-runtime', 'elsewhere')).toMatchObject({ id: 'training-runtime-missing', state: 'fail' });
    expect(of('permissions')).toMatchObject({ id: 'permissions-complete' });
  });
});

const variableOf = (pod: Pod, wanted: string): string | undefined =>
  pod.spec.containers[0]?.env?.find(({ name }) => name === wanted)?.value;
