import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { gunzipSync } from 'node:zlib';
import { readArtifact } from '@luthier/artifacts';
import type { RunSpec } from '@luthier/contracts';
import type { RunningService } from '@luthier/service-kit';
import { steadyPort, waitFor } from '@luthier/testing';
import { bindRole, canRunKubernetes, startControlPlane } from '@luthier/testing/kube';
import type { ControlPlane, FakeKubelet, Fate, Pod } from '@luthier/testing/kube';
import { fakeProfile } from '../testing/cluster-place.js';
import { TrainerHarness } from '../testing/harness.js';

const ROLE_FILE = new URL('../../../../charts/luthier/files/trainer-role.yaml', import.meta.url);
const GPU = { deviceResource: 'nvidia.com/gpu' } as const;
const PROFILES = [
  ...[fakeProfile('cpu'), fakeProfile('gpu', GPU), fakeProfile('lost', { ...GPU, nodeLostSeconds: 2 })],
  fakeProfile('gang', { ...GPU, preRunningSeconds: 8 }),
];

interface JobObject {
  metadata: { name: string; uid: string };
  spec: { suspend: boolean };
}

const inCluster = (await canRunKubernetes()) ? describe : describe.skip;

inCluster('runs in a cluster', () => {
  let cluster: ControlPlane;
  let kubelet: FakeKubelet;
  let harness: TrainerHarness;
  let trainer: RunningService;
  let namespace: string;
  /** Of an account with exactly the rights of the role that is shipped. */
  let kubeconfig: string;
  /** As a Service keeps its address. */
  let endpointPort: number;
  let fate: (pod: Pod) => Fate;

  const jobs = (): string => `/apis/batch/v1/namespaces/${namespace}/jobs`;
  const jobsThere = async (): Promise<JobObject[]> => (await cluster.api.get<{ items: JobObject[] }>(jobs())).items;
  const start = (): Promise<RunningService> =>
    harness.startTrainer({
      executor: 'kubernetes',
      endpointPort,
      deliveryTimeoutMs: 600_000, // however long the trainer is away
      cluster: {
        ...{ namespace, kubeconfig, requestsPerSecond: 0, requestBurst: 1 },
        profiles: PROFILES,
      },
    });
  const put = async (behaviour: Parameters<TrainerHarness['makeSpec']>[0], over: Partial<RunSpec> = {}) => {
    const spec = await harness.makeSpec(behaviour, { profile: 'cpu', ...over });
    await harness.runs.put('spec', spec);
    return spec;
  };
  const change = (spec: RunSpec, over: Partial<RunSpec>): Promise<unknown> =>
    harness.runs.put('spec', { ...spec, generation: spec.generation + 1, ...over });
  const gpuResources = (devicesPerNode: number, nodes = 1): RunSpec['resources'] => ({
    ...{ nodes, devicesPerNode, deviceMemoryMib: 40_000, cpu: 1, memoryMib: 64, scratchMib: 64 },
  });

  beforeAll(async () => {
    cluster = await startControlPlane();
    harness = await TrainerHarness.start();
    endpointPort = await steadyPort();
    kubelet = await cluster.startKubelet({
      fateOf: (pod) => fate(pod),
      nodes: [{ name: 'gpu-1' }, { name: 'gpu-2' }, { name: 'cpu-1', gpus: 0 }],
    });
    namespace = await cluster.createNamespace();
    ({ kubeconfig } = await bindRole(cluster, { namespace, account: 'trainer', file: ROLE_FILE }));
    await cluster.createVolumeClaim({ namespace, name: 'artifacts', folder: harness.artifactsDir });
    trainer = await start();
  }, 900_000);
  beforeEach(() => {
    fate = () => ({ type: 'process' });
  });
  afterAll(async () => {
    await trainer.stop();
    await cluster.stop();
    await harness.stop();
  });

  it('train as a Job whose pod runs the runner, and leave their outcome; the object goes when training has closed them', async () => {
    const spec = await put({ steps: 4 });
    const status = await harness.waitForEnd(spec.runId);
    expect(status).toMatchObject({ reason: 'succeeded', incarnation: 1, outcome: { step: 4 } });
    expect(status.outcome?.artifact?.uri).toContain(`artifact://runs/${spec.runId}/1/1/`);
    expect((await jobsThere()).map(({ metadata }) => metadata.uid)).toContain(status.objectUid);
    await change(spec, { closed: true });
    await waitFor(async () => (await jobsThere()).every(({ metadata }) => metadata.uid !== status.objectUid));
  });

  it('save a checkpoint and leave when they are stopped', async () => {
    const spec = await put({ steps: 10_000, stepMs: 20, checkpointEverySteps: 100_000 });
    await harness.waitForStep(spec.runId, 3);
    await change(spec, { desired: 'stopped', stopReason: 'pause' });
    const status = await harness.waitForEnd(spec.runId);
    expect(status).toMatchObject({ reason: 'stopped', outcome: { code: 'runtime.interrupted' } });
    expect(status.outcome?.checkpoint?.step).toBeGreaterThanOrEqual(3);
  });

  it('go on under a trainer that was restarted, as the same attempt', async () => {
    const spec = await put({ steps: 60, stepMs: 50, checkpointEverySteps: 10 });
    await harness.waitForStep(spec.runId, 3);
    const before = await harness.status(spec.runId);
    await trainer.stop();
    trainer = await start();
    const status = await harness.waitForEnd(spec.runId);
    expect(status).toMatchObject({ reason: 'succeeded', attempt: 1, incarnation: 1, objectUid: before?.objectUid });
    const steps = (await harness.messages(spec.runId)).flatMap(({ event }) =>
      event.type === 'step' ? [event.step] : [],
    );
    expect(steps).toEqual([...new Set(steps)]);
  });

  it('are waited for as long as their profile says, also by a trainer that did not make them', async () => {
    fate = () => ({ type: 'wait', reason: 'ImagePullBackOff', message: 'not found' });
    const spec = await put({});
    await harness.waitForStatus(spec.runId, ({ objectUid }) => objectUid !== undefined);
    await trainer.stop();
    trainer = await start();
    expect(await harness.waitForEnd(spec.runId)).toMatchObject({ reason: 'image-pull' });
  });

  it('go on while the API server is away, and end as they ended', async () => {
    const spec = await put({ steps: 60, stepMs: 50, checkpointEverySteps: 10 });
    await harness.waitForStep(spec.runId, 3);
    await cluster.stopApiServer();
    await harness.waitForStep(spec.runId, 60);
    await cluster.startApiServer();
    // The lease may have run out meanwhile: then somebody must take it first.
    const ended = await harness.waitForStatus(spec.runId, ({ phase }) => phase === 'ended');
    expect(ended).toMatchObject({ reason: 'succeeded', attempt: 1 });
  });

  it('say that they were deleted by somebody else, and are not made again', async () => {
    fate = () => ({ type: 'run' });
    const spec = await put({});
    const { objectName } = await harness.waitForStatus(spec.runId, ({ phase }) => phase === 'running');
    await cluster.api.delete(`${jobs()}/${objectName}?propagationPolicy=Background`);
    expect(await harness.waitForEnd(spec.runId)).toMatchObject({ reason: 'deleted-externally' });
    expect((await jobsThere()).map(({ metadata }) => metadata.name)).not.toContain(objectName);
  });

  it('leave alone a foreign object with their name, and say so', async () => {
    const spec = await harness.makeSpec({}, { profile: 'cpu' });
    const name = `ft-${spec.runId.slice(4)}-1`;
    const container = { name: 'c', image: 'x', command: ['x'] };
    await cluster.api.post(jobs(), {
      metadata: { name },
      spec: { suspend: true, template: { spec: { restartPolicy: 'Never', containers: [container] } } },
    });
    await harness.runs.put('spec', spec);
    expect(await harness.waitForEnd(spec.runId)).toMatchObject({ reason: 'name-taken', params: { name } });
    expect((await jobsThere()).find(({ metadata }) => metadata.name === name)?.spec.suspend).toBe(true);
  });

  it('run on several nodes with a rank each, and are one incarnation', async () => {
    fate = () => ({ type: 'run' });
    const spec = await put({}, { profile: 'gpu', resources: gpuResources(8, 2) });
    const status = await harness.waitForStatus(spec.runId, ({ phase }) => phase === 'running');
    expect(status.pods).toHaveLength(2);
    expect(status.incarnation).toBe(1);
    await change(spec, { desired: 'stopped', stopReason: 'cancel', stopGraceSeconds: 1 });
    expect(await harness.waitForEnd(spec.runId)).toMatchObject({ reason: 'stopped' });
  });

  it('that can never have a place end at once, with what is missing', async () => {
    const spec = await put({}, { profile: 'gpu', resources: gpuResources(16) });
    expect(await harness.waitForEnd(spec.runId)).toMatchObject({
      reason: 'cannot-ever-fit',
      params: { needed: 16, largest: 8 },
    });
  });

  it('give their GPUs back when only some of their pods find a place', async () => {
    fate = () => ({ type: 'run' });
    const other = await put({}, { profile: 'gpu', resources: gpuResources(8) });
    await harness.waitForStatus(other.runId, ({ phase }) => phase === 'running');
    const spec = await put({}, { profile: 'gang', resources: gpuResources(8, 2) });
    const waiting = await harness.waitForStatus(spec.runId, ({ reason }) => reason === 'partial-gang');
    expect(waiting).toMatchObject({ phase: 'scheduling', params: { placed: 1, nodes: 2 } });
    const status = await harness.waitForEnd(spec.runId);
    expect(status).toMatchObject({ reason: 'partial-gang', message: waiting.message });
    await waitFor(async () => (await jobsThere()).every(({ metadata }) => metadata.uid !== status.objectUid));
    await change(other, { desired: 'stopped', stopReason: 'cancel', stopGraceSeconds: 1 });
    await harness.waitForEnd(other.runId);
  });

  it.each<[string, Fate, object]>([
    [
      'an image that cannot be pulled',
      { type: 'wait', reason: 'ImagePullBackOff', message: 'not found' },
      { reason: 'image-pull' },
    ],
    [
      'a missing secret',
      { type: 'wait', reason: 'CreateContainerConfigError', message: 'secret "hf-token" not found' },
      { reason: 'config-missing' },
    ],
    [
      'no memory left on the host',
      { type: 'end', exitCode: 137, reason: 'OOMKilled' },
      { outcome: { code: 'host.out-of-memory' } },
    ],
    [
      'no device memory left',
      { type: 'end', exitCode: 42, message: '{"code":"device.out-of-memory","message":"too big","step":3}' },
      { outcome: { code: 'device.out-of-memory', message: 'too big' } },
    ],
    [
      'a node without disk space',
      {
        ...{ type: 'end', exitCode: 137, podReason: 'Evicted' },
        conditions: [
          { type: 'DisruptionTarget', status: 'True', reason: 'TerminationByKubelet', message: 'low on resource' },
        ],
      },
      { outcome: { code: 'cluster.node-pressure' } },
    ],
  ])('end with a reason: %s', async (_name, end, expected) => {
    fate = () => end;
    const spec = await put({});
    expect(await harness.waitForEnd(spec.runId)).toMatchObject(expected);
  });

  it('that died without a word leave what their pod has written', async () => {
    fate = () => ({ type: 'end', exitCode: 1, log: ['loading the model', 'something broke'] });
    const spec = await put({});
    await harness.waitForEnd(spec.runId);
    const packed = await readArtifact(harness.store, `artifact://runs/${spec.runId}/1/1/log.txt.gz`);
    expect(gunzipSync(packed).toString()).toBe('loading the model\nsomething broke\n');
  });

  it('end as lost with a node that stops answering, without waiting for the Job', async () => {
    fate = () => ({ type: 'run' });
    const spec = await put({}, { profile: 'lost', resources: gpuResources(8, 1) });
    const { pods } = await harness.waitForStatus(spec.runId, ({ phase }) => phase === 'running');
    const found = (await cluster.api.get<{ items: Pod[] }>(`/api/v1/namespaces/${namespace}/pods`)).items;
    const pod = found.find(({ metadata }) => pods.includes(metadata.uid));
    kubelet.silence(pod?.spec.nodeName ?? '');
    // What the taint manager does after its toleration, which is longer than a test.
    await cluster.api.delete(`/api/v1/namespaces/${namespace}/pods/${pod?.metadata.name}`);
    const status = await harness.waitForStatus(spec.runId, ({ phase }) => phase === 'ended');
    expect(status).toMatchObject({ outcome: { code: 'cluster.node-lost' } });
  });
});
