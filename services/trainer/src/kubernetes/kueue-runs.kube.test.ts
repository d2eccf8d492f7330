import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { PRIORITIES, getCluster } from '@luthier/contracts';
import type { FitAnswer, RunSpec, RunStatus } from '@luthier/contracts';
import { waitFor } from '@luthier/testing';
import { canRunKueue, startControlPlane } from '@luthier/testing/kube';
import type { ControlPlane, Fate, KubeObject, Kueue } from '@luthier/testing/kube';
import { ClusterPlace, Fates, fakeProfile } from '../testing/cluster-place.js';
import type { TrainerHarness } from '../testing/harness.js';
import {
  CLUSTER_QUEUE,
  KUEUE_API,
  PRIORITY_CLASSES,
  makeQueue,
  makeQueues,
  removeKueueObjects,
} from '../testing/kueue-objects.js';
import { LABEL } from './names.js';

const PROFILE = fakeProfile('gpu', {
  ...{ deviceResource: 'nvidia.com/gpu', cpus: 1, preRunningSeconds: 1_800, configErrorSeconds: 60 },
  priorityClasses: PRIORITY_CLASSES,
});
/** For what no waiting mends; what is only slow to be installed has the time of the other. */
const HASTY = { ...PROFILE, name: 'hasty', configErrorSeconds: 5 };

interface JobObject extends KubeObject {
  spec: { suspend: boolean };
}
interface Workload extends KubeObject {
  metadata: { name: string; labels: Record<string, string> };
}

const inKueue = (await canRunKueue()) ? describe : describe.skip;

inKueue('runs that wait in a queue of Kueue', () => {
  let cluster: ControlPlane;
  let kueue: Kueue;
  let place: ClusterPlace;
  let fate: Fate;

  const workloads = (): string => place.path(KUEUE_API, 'workloads');
  const workloadOf = async ({ objectUid }: RunStatus): Promise<Workload | undefined> => {
    const labelSelector = `kueue.x-k8s.io/job-uid=${objectUid}`;
    return (await cluster.api.get<{ items: Workload[] }>(workloads(), { labelSelector })).items[0];
  };
  const put = (
    gpus: number,
    over: Partial<RunSpec> = {},
    behaviour: Parameters<TrainerHarness['makeSpec']>[0] = {},
  ): Promise<RunSpec> => {
    const resources = { devicesPerNode: gpus, deviceMemoryMib: 0, cpu: 1, memoryMib: 64, scratchMib: 64 };
    const queued: Partial<RunSpec> = { queue: 'external', queueName: 'team', stopGraceSeconds: 10 };
    const wanted = { ...queued, ...over, resources: { ...resources, nodes: over.resources?.nodes ?? 1 } };
    return place.run('gpu', fate, wanted, behaviour);
  };
  const nodes = (count: number): Pick<RunSpec, 'resources'> => ({
    resources: { nodes: count, devicesPerNode: 0, deviceMemoryMib: 0, cpu: 1, memoryMib: 64, scratchMib: 64 },
  });
  const stop = async (spec: RunSpec): Promise<RunStatus> => {
    await place.change(spec, { desired: 'stopped', stopReason: 'cancel', stopGraceSeconds: 2 });
    return place.ended(spec);
  };
  const seen = (spec: RunSpec, fits: (status: RunStatus) => boolean): Promise<RunStatus> => place.until(spec, fits);
  const fit = (devicesPerNode: number, queue: string | null, nodes = 1): Promise<FitAnswer> =>
    place.fit('gpu', { nodes, devicesPerNode, queue });

  beforeAll(async () => {
    cluster = await startControlPlane();
    const fates = new Fates();
    await cluster.startKubelet({ fateOf: fates.of, nodes: [{ name: 'queued-1' }, { name: 'queued-2' }] });
    place = await ClusterPlace.start(cluster, {
      fates,
      profiles: [PROFILE, HASTY],
      settings: { queueRecheckSeconds: 1 },
    });
  }, 3_600_000);
  beforeEach(() => {
    fate = { type: 'process' };
  });
  afterAll(async () => {
    await place.stop();
    await cluster.stop();
  });

  it('cannot be asked for where there is no Kueue, wait for it when they were, and go on when it comes', async () => {
    const refused = await fit(8, 'team');
    expect(refused).toMatchObject({ canEverFit: false, reason: 'no-queueing', params: { queue: 'team' } });
    expect((await place.bus.request(getCluster, {})).queues).toBeNull();
    const spec = await put(8);
    const waiting = await seen(spec, ({ phase }) => phase === 'queued');
    expect(waiting).toMatchObject({ reason: 'waiting-in-queue', params: { queue: 'team', cause: 'noQueueing' } });
    kueue = await cluster.startKueue();
    await makeQueues(cluster, place.namespace);
    expect(await seen(spec, ({ phase }) => phase === 'ended')).toMatchObject({ reason: 'succeeded', incarnation: 1 });
    expect(await fit(8, 'team')).toMatchObject({ canEverFit: true });
  });

  it('say their place and the GPUs that are missing, leave without a pod when they are stopped, else run to their end', async () => {
    fate = { type: 'run' };
    const first = await put(8);
    await place.running(first);
    fate = { type: 'process' };
    const second = await put(4);
    const waiting = await seen(second, ({ params }) => params?.['needed'] === 4);
    expect(waiting).toMatchObject({
      ...{ phase: 'queued', reason: 'waiting-in-queue', incarnation: 0, pods: [] },
      params: { queue: 'team', position: 1, resource: 'nvidia.com/gpu' },
      message: 'In queue "team", place 1: 4 more GPUs needed.',
    });
    expect(waiting.excerpt).toContain('4 more needed');
    const third = await put(2);
    await seen(third, ({ params }) => params?.['position'] === 2);
    const queue = await waitFor(async () => {
      const found = (await place.bus.request(getCluster, {})).queues?.find(({ name }) => name === 'team');
      // Kueue tells of the usage some time after the admission.
      return found?.pending === 2 && found.limits.some(({ used }) => used === 8) ? found : undefined;
    });
    expect(queue).toMatchObject({ clusterQueue: CLUSTER_QUEUE, active: true, admitted: 1 });
    expect(queue.limits).toContainEqual({ flavor: 'any-gpu', resource: 'nvidia.com/gpu', most: 8, used: 8 });
    expect(await fit(4, 'team')).toMatchObject({ canEverFit: true, fitsNow: false, reason: 'queue-busy' });
    expect(await stop(third)).toMatchObject({ reason: 'stopped', incarnation: 0, pods: [] });
    expect((await place.jobOf<JobObject>(second)).spec.suspend).toBe(true);
    expect(await place.podsOf(second)).toEqual([]);
    await stop(first);
    expect(await seen(second, ({ phase }) => phase === 'ended')).toMatchObject({
      ...{ reason: 'succeeded', attempt: 1, incarnation: 1 },
    });
  });

  it('end with their reason when their queue can never give what they ask for, which is said before they start', async () => {
    expect(await fit(8, 'team', 2)).toMatchObject({
      ...{ canEverFit: false, reason: 'queue-too-small' },
      params: { clusterQueue: CLUSTER_QUEUE, resource: 'nvidia.com/gpu', most: 8, needed: 16 },
    });
    const spec = await put(8, nodes(2));
    expect(await seen(spec, ({ phase }) => phase === 'ended')).toMatchObject({
      ...{ reason: 'queue-too-small', incarnation: 0 },
      params: { queue: 'team', resource: 'nvidia.com/gpu', needed: 16, limit: 8 },
      message: 'Queue "team" has at most 8 GPUs; this run asks for 16.',
    });
    expect(await place.podsOf(spec)).toEqual([]);
  });

  it('end with the names of the queues there are when theirs is unknown, which is said before they start', async () => {
    expect(await fit(1, 'nope')).toMatchObject({
      ...{ canEverFit: false, reason: 'unknown-queue' },
      params: { queue: 'nope', namespace: place.namespace, known: 'team' },
    });
    const spec = await put(1, { queueName: 'nope', profile: HASTY.name });
    expect(await seen(spec, ({ phase }) => phase === 'ended')).toMatchObject({
      ...{ reason: 'queue-rejected', params: { queue: 'nope', queues: 'team' } },
      message: 'Queue "nope" does not take this run: it does not exist; there is team.',
    });
  });

  it('wait for their administrator where the queue does not count all that their pods ask for, and say what', async () => {
    await makeQueue(cluster, {
      namespace: place.namespace,
      name: 'narrow',
      clusterQueue: 'runs-gpus-only',
      quota: { 'nvidia.com/gpu': '8' },
    });
    const spec = await put(1, { queueName: 'narrow' });
    // Kueue may not have seen the new queue yet, and then says that first.
    const waiting = await seen(spec, ({ message }) => message.includes('unavailable in ClusterQueue'));
    expect(waiting.reason).toBe('queue-rejected');
    expect(waiting.message).toMatch(
      /^Queue "narrow" does not take this run: resource \S+ unavailable in ClusterQueue\.$/,
    );
    expect(await stop(spec)).toMatchObject({ reason: 'stopped' });
  });

  it('make room for a more urgent one and go on from their newest checkpoint as the same attempt, the first processes shut out', async () => {
    const spec = await put(8, {}, { steps: 100_000, stepMs: 20, checkpointEverySteps: 10 });
    await place.harness.waitForCheckpoint(spec.runId);
    const first = await place.running(spec);
    expect((await place.jobOf<JobObject>(spec)).metadata?.labels?.[LABEL.kueuePriority]).toBe('runs-normal');
    const token = await attach(spec, first);
    expect(await call(spec, 'heartbeat', token, { step: 1 })).toBe(200);

    fate = { type: 'run' };
    const urgent = await put(8, { priority: PRIORITIES.high });
    const setBack = await seen(spec, ({ phase }) => phase === 'queued');
    expect(setBack).toMatchObject({ reason: 'preempted', attempt: 1, incarnation: 1, objectUid: first.objectUid });
    const saved = Math.max(...(await checkpointsOf(spec)));
    expect(setBack.message).toBe(`Paused for a more urgent run at step ${saved}; resumes by itself.`);
    await place.running(urgent);
    expect((await place.jobOf<JobObject>(urgent)).metadata?.labels?.[LABEL.kueuePriority]).toBe('runs-urgent');
    await waitFor(async () => (await place.podsOf(spec)).length === 0, { what: 'the pods set back to be gone' });

    fate = { type: 'process' };
    await stop(urgent);
    const second = await seen(spec, ({ phase, incarnation }) => phase === 'running' && incarnation === 2);
    expect(second).toMatchObject({ attempt: 1, objectUid: first.objectUid });
    expect(second.pods).not.toEqual(first.pods);
    const started = await waitFor(async () =>
      (await place.harness.messages(spec.runId)).find(
        ({ incarnation, event }) => incarnation === 2 && event.type === 'started',
      ),
    );
    expect(started.event).toMatchObject({ resumeStep: saved });
    expect(await call(spec, 'heartbeat', token, { step: 1 })).toBe(409);
    expect(await call(spec, 'events', token, { events: [] })).toBe(409);
    expect(await stop(spec)).toMatchObject({ reason: 'stopped', attempt: 1, incarnation: 2 });
  });

  it('end when they are switched off in their queue', async () => {
    fate = { type: 'run' };
    const spec = await put(8);
    const workload = await workloadOf(await place.running(spec));
    await cluster.api.mergePatch(`${workloads()}/${workload?.metadata.name}`, { spec: { active: false } });
    expect(await seen(spec, ({ phase }) => phase === 'ended')).toMatchObject({
      ...{ reason: 'queue-deactivated', attempt: 1, message: 'The run was switched off in queue "team".' },
    });
    await waitFor(async () => (await place.podsOf(spec)).length === 0);
  });

  it('wait while Kueue is gone, and go on when it is there again', async () => {
    fate = { type: 'run' };
    const first = await put(8);
    await place.running(first);
    fate = { type: 'process' };
    const spec = await put(4);
    await seen(spec, ({ params }) => params?.['needed'] === 4);
    await kueue.stop();
    await removeKueueObjects(cluster, place.namespace);
    const waiting = await seen(spec, ({ params }) => params?.['cause'] === 'noQueueing');
    expect(waiting).toMatchObject({ phase: 'queued', reason: 'waiting-in-queue' });
    await waitFor(async () => (await place.bus.request(getCluster, {})).queues === null);
    expect(await place.harness.status(first.runId)).toMatchObject({ phase: 'running' });
    kueue = await cluster.startKueue();
    await makeQueues(cluster, place.namespace);
    await stop(first);
    expect(await seen(spec, ({ phase }) => phase === 'ended')).toMatchObject({ reason: 'succeeded', attempt: 1 });
  });

  /** The token that the run's own first pod has. */
  async function attach(spec: RunSpec, { objectName, pods }: RunStatus): Promise<string> {
    const path = `/api/v1/namespaces/${place.namespace}/secrets/${objectName}`;
    const { data } = await cluster.api.get<{ data: Record<string, string> }>(path);
    const attachToken = Buffer.from(data['attach-token'] ?? '', 'base64').toString();
    const answer = await post(spec, 'attach', attachToken, { attempt: 1, podUid: pods[0] });
    return ((await answer.json()) as { token: string }).token;
  }

  const post = (spec: RunSpec, verb: string, token: string, body: unknown): Promise<Response> =>
    fetch(`${place.endpoint}/runs/${spec.runId}/${verb}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });

  async function call(...args: Parameters<typeof post>): Promise<number> {
    const answer = await post(...args);
    await answer.text();
    return answer.status;
  }

  async function checkpointsOf(spec: RunSpec): Promise<number[]> {
    const messages = await place.harness.messages(spec.runId);
    return messages.flatMap(({ event }) => (event.type === 'checkpoint-stored' ? [event.step] : []));
  }
});
