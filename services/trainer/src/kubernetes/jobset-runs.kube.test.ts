import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { getCluster } from '@luthier/contracts';
import type { RunSpec } from '@luthier/contracts';
import { waitFor } from '@luthier/testing';
import { canRunJobSet, startControlPlane } from '@luthier/testing/kube';
import type { ControlPlane, Controller, Fate, KubeObject, Pod } from '@luthier/testing/kube';
import { ClusterPlace, Fates, fakeProfile } from '../testing/cluster-place.js';
import type { ClusterProfile } from './cluster-profile.js';
import { LABEL, objectNameOf } from './names.js';

interface JobSet extends KubeObject {
  spec: { suspend: boolean };
  status?: { restarts?: number; terminalState?: string };
}

const COLLECTED = { what: 'what was deleted to be gone' };
const inCluster = (await canRunJobSet()) ? describe : describe.skip;
const nodes = (count: number): Pick<RunSpec, 'resources'> => ({
  resources: { nodes: count, devicesPerNode: 0, deviceMemoryMib: 0, cpu: 0.1, memoryMib: 64, scratchMib: 64 },
});
const TWO_NODES = nodes(2);
const RUN: Fate = { type: 'run' };
const PROCESS: Fate = { type: 'process' };

inCluster('runs of several nodes where JobSet is installed', () => {
  const fates = new Fates();
  let cluster: ControlPlane;
  let jobSet: Controller;
  let place: ClusterPlace;

  const nameOf = ({ runId, attempt }: RunSpec): string => objectNameOf(runId, attempt);
  const jobSets = (): string => place.path('jobset.x-k8s.io/v1alpha2', 'jobsets');
  const jobs = (): string => place.path('batch/v1', 'jobs');
  const jobSetOf = (spec: RunSpec): Promise<JobSet> => cluster.api.get<JobSet>(`${jobSets()}/${nameOf(spec)}`);
  /** All JobSets and Jobs whose name begins with the run's, such as `jobsets/ft-...-1`. */
  const rootsOf = async (spec: RunSpec): Promise<string[]> => {
    const namesAt = async (path: string): Promise<string[]> => {
      const { items } = await cluster.api.get<{ items: { metadata: { name: string } }[] }>(path);
      return items.map(({ metadata }) => `${path.split('/').at(-1)}/${metadata.name}`);
    };
    const all = await Promise.all([jobSets(), jobs()].map(namesAt));
    return all.flat().filter((path) => path.includes(nameOf(spec)));
  };

  beforeAll(async () => {
    cluster = await startControlPlane();
    jobSet = await cluster.startJobSet();
    const names = ['set-1', 'set-2'];
    await cluster.startKubelet({ fateOf: fates.of, nodes: names.map((name) => ({ name, gpus: 0 })) });
    const only = (type: 'job' | 'jobset'): ClusterProfile => fakeProfile(`only-${type}s`, { carrier: { type } });
    const profiles = [fakeProfile('cpu'), only('job'), only('jobset')];
    place = await ClusterPlace.start(cluster, { fates, profiles, settings: { queueRecheckSeconds: 0.5 } });
  }, 3_600_000);
  const makeForeign = async (name: string, finalizers: readonly string[] = []): Promise<void> => {
    const pod = { restartPolicy: 'Never', containers: [{ name: 'c', image: 'x', command: ['x'] }] };
    await cluster.apply({
      ...{ apiVersion: 'jobset.x-k8s.io/v1alpha2', kind: 'JobSet' },
      metadata: { name, namespace: place.namespace, finalizers },
      spec: {
        ...{ suspend: true, successPolicy: { operator: 'All' } },
        replicatedJobs: [{ name: 'any', template: { spec: { template: { spec: pod } } } }],
      },
    });
  };

  afterAll(async () => {
    await place.stop();
    await jobSet.stop();
    await cluster.stop();
  });

  it('train as one JobSet whose pods find the first of them, and leave nothing when training has closed them', async () => {
    const spec = await place.run('cpu', PROCESS, TWO_NODES, { steps: 20, stepMs: 50, checkpointEverySteps: 10 });
    const { objectUid, pods } = await place.running(spec);
    expect(pods).toHaveLength(2);
    const found = await place.podsOf(spec);
    const hosts = found.map(({ spec: { hostname, subdomain } }) => `${hostname}.${subdomain}`).sort();
    const name = nameOf(spec);
    expect(hosts).toEqual([0, 1].map((index) => `${name}-node-0-${index}.${name}`));
    expect(found.map((pod) => variableOf(pod, 'PET_MASTER_ADDR'))).toEqual([hosts[0], hosts[0]]);
    const service = await cluster.api.get(`/api/v1/namespaces/${place.namespace}/services/${name}`);
    expect(service).toMatchObject({
      metadata: { ownerReferences: [{ kind: 'JobSet' }] },
      spec: { clusterIP: 'None', publishNotReadyAddresses: true },
    });
    expect(await jobSetOf(spec)).toMatchObject({ metadata: { uid: objectUid } });
    const status = await place.ended(spec);
    expect(status).toMatchObject({ reason: 'succeeded', incarnation: 1, outcome: { step: 20 }, objectUid });
    await place.change(spec, { closed: true });
    await waitFor(async () => (await rootsOf(spec)).length === 0, COLLECTED);
    await waitFor(async () => (await place.podsOf(spec)).length === 0);
  });

  it('keep a checkpoint of all nodes and leave when they are stopped, and go on from it with all nodes', async () => {
    const behaviour = { steps: 100_000, stepMs: 20, checkpointEverySteps: 20 };
    const spec = await place.run('cpu', PROCESS, { ...TWO_NODES, stopGraceSeconds: 20 }, behaviour);
    await place.running(spec);
    await place.harness.waitForCheckpoint(spec.runId);
    await place.change(spec, { desired: 'stopped', stopReason: 'pause' });
    const status = await place.ended(spec);
    expect(status).toMatchObject({ reason: 'stopped', outcome: { code: 'runtime.interrupted' } });
    const second = await place.again({ ...spec, generation: 2 }, PROCESS);
    expect((await place.running(second)).pods).toHaveLength(2);
    const started = await waitFor(async () =>
      (await place.harness.messages(spec.runId)).find(
        ({ attempt, event }) => attempt === 2 && event.type === 'started',
      ),
    );
    const stored = (await place.harness.messages(spec.runId)).flatMap(({ attempt, event }) =>
      attempt === 1 && event.type === 'checkpoint-stored' ? [event.step] : [],
    );
    expect(started.event).toMatchObject({ worldSize: 2, resumeStep: Math.max(...stored) });
  });

  it('end with the reason of the one node that failed, and are not made anew by JobSet', async () => {
    const message = '{"code":"device.out-of-memory","message":"too big","step":3}';
    const failing: Fate = { type: 'end', exitCode: 42, message, afterMs: 1_000 };
    const isSecond = ({ metadata }: Pod): boolean => metadata.labels?.[LABEL.completionIndex] === '1';
    const spec = await place.run('cpu', (pod) => (isSecond(pod) ? failing : RUN), TWO_NODES);
    expect(await place.ended(spec)).toMatchObject({
      outcome: { code: 'device.out-of-memory', message: 'too big' },
    });
    const failed = await waitFor(async () => {
      const found = await jobSetOf(spec);
      return found.status?.terminalState === 'Failed' ? found : undefined;
    });
    expect(failed.status?.restarts ?? 0).toBe(0);
    expect(await rootsOf(spec)).toEqual([`jobsets/${nameOf(spec)}`, `jobs/${nameOf(spec)}-node-0`]);
  });

  it('are Jobs when they have one node, or their profile wants Jobs', async () => {
    const one = await place.run('cpu', PROCESS, nodes(1));
    const wished = await place.run('only-jobs', PROCESS, TWO_NODES);
    for (const spec of [one, wished]) {
      expect(await place.ended(spec)).toMatchObject({ reason: 'succeeded' });
      expect(await rootsOf(spec)).toEqual([`jobs/${nameOf(spec)}`]);
    }
  });

  it('leave alone a foreign JobSet with their name, and say so', async () => {
    const spec = await place.harness.makeSpec({}, { profile: 'cpu', ...TWO_NODES });
    const name = nameOf(spec);
    await makeForeign(name);
    await place.harness.runs.put('spec', spec);
    expect(await place.ended(spec)).toMatchObject({ reason: 'name-taken', params: { name } });
    expect((await jobSetOf(spec)).spec.suspend).toBe(true);
  });

  it('say that they were deleted by somebody else, and are not made again', async () => {
    const spec = await place.run('cpu', RUN, TWO_NODES);
    await place.running(spec);
    await cluster.api.delete(`${jobSets()}/${nameOf(spec)}?propagationPolicy=Background`);
    expect(await place.ended(spec)).toMatchObject({ reason: 'deleted-externally' });
    await waitFor(async () => (await rootsOf(spec)).length === 0);
  });

  it('go with JobSet when it is removed, have a Job for their next attempt, and a JobSet again once it is back', async () => {
    const first = await place.run('cpu', RUN, TWO_NODES);
    await place.running(first);
    await makeForeign('slow-to-go', ['test.luthier.dev/hold']);
    const removed = jobSet.stop();
    expect(await place.ended(first)).toMatchObject({ reason: 'deleted-externally' });
    const second = await place.again(first, { type: 'end', exitCode: 1, afterMs: 500 });
    await place.until(second, ({ reason }) => reason === 'config-missing');
    await cluster.api.mergePatch(`${jobSets()}/slow-to-go`, { metadata: { finalizers: null } });
    await removed;
    expect(await place.ended(second)).toMatchObject({ reason: 'crashed' });
    const job = await cluster.api.get<KubeObject>(`${jobs()}/${nameOf(second)}`);
    expect(job.metadata?.['ownerReferences']).toBeUndefined();
    const wished = await place.run('only-jobsets', RUN, nodes(1));
    expect(await place.until(wished, ({ reason }) => reason === 'config-missing')).toMatchObject({
      message: 'The kind JobSet (jobset.x-k8s.io/v1alpha2) is missing in the cluster.',
    });
    jobSet = await cluster.startJobSet();
    await place.running(wished);
    await waitFor(async () => (await place.bus.request(getCluster, {})).watches.some(({ name }) => name === 'jobsets'));
    const third = await place.again(second, RUN);
    await place.running(third);
    expect(await rootsOf(third)).toEqual([`jobsets/${nameOf(third)}`, `jobs/${nameOf(third)}-node-0`]);
  });
});

const variableOf = (pod: Pod, wanted: string): string | undefined =>
  pod.spec.containers[0]?.env?.find(({ name }) => name === wanted)?.value;
