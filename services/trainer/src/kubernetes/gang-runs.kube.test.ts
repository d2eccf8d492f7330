import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { RunSpec } from '@luthier/contracts';
import { waitFor } from '@luthier/testing';
import { COSCHEDULER, canRunCoscheduling, canRunKubernetes, startControlPlane } from '@luthier/testing/kube';
import type { ControlPlane, FakeKubelet, FakeNode, KubeObject } from '@luthier/testing/kube';
import { ClusterPlace, Fates, fakeProfile } from '../testing/cluster-place.js';
import { dashboardSentences } from '../testing/told-sentence.js';
import type { ClusterProfile } from './cluster-profile.js';

/** Nodes of a profile are its own, so that the tests need not wait for each other. */
const OF = 'test.luthier.dev/gang';
const nodesOf = (gang: string, count: number): FakeNode[] =>
  Array.from({ length: count }, (_, index) => ({ name: `${gang}-${index + 1}`, labels: { [OF]: gang } }));
const on = (gang: string, over: Partial<ClusterProfile>): ClusterProfile =>
  fakeProfile(gang, {
    ...{ deviceResource: 'nvidia.com/gpu', nodeSelector: { [OF]: gang }, preRunningSeconds: 600 },
    ...over,
  });
const together = { schedulerName: COSCHEDULER, gang: { type: 'coscheduling', scheduleTimeoutSeconds: 600 } } as const;
const PROFILES = [
  ...[on('room', together), on('rivals', together), on('patience', { ...together, preRunningSeconds: 24 })],
  on('nobody', { schedulerName: 'nobody', preRunningSeconds: 60 }),
  on('volcano', { gang: { type: 'volcano', queue: 'team' } }),
];
const NODES = [
  ...[...nodesOf('room', 2), ...nodesOf('rivals', 3), ...nodesOf('patience', 1)],
  ...[...nodesOf('nobody', 1), ...nodesOf('volcano', 2)],
];
const POD_GROUPS = 'scheduling.x-k8s.io/v1alpha1';
const VOLCANO_GROUPS = 'scheduling.volcano.sh/v1beta1';
const RUN: { type: 'run' } = { type: 'run' };
const CANCELLED = { desired: 'stopped', stopReason: 'cancel' } as const;

/** All eight GPUs of so many nodes. */
const wants = (nodes: number): Partial<RunSpec> => ({
  resources: { nodes, devicesPerNode: 8, deviceMemoryMib: 0, cpu: 1, memoryMib: 64, scratchMib: 64 },
});

interface PodGroup extends KubeObject {
  spec: { minMember: number; queue?: string };
}

const inCluster = (await canRunKubernetes()) ? describe : describe.skip;
const withCoscheduling = await canRunCoscheduling();
const itTogether = withCoscheduling ? it : it.skip;

inCluster('runs whose pods are placed together', () => {
  let cluster: ControlPlane;
  let kubelet: FakeKubelet;
  let place: ClusterPlace;
  let sentences: Awaited<ReturnType<typeof dashboardSentences>>;
  /** Waits longest, so it begins first. */
  let unseen: RunSpec;

  /** Nodes that the run's pods have been given. */
  const placesOf = async (spec: RunSpec): Promise<string[]> =>
    (await place.podsOf(spec)).flatMap(({ spec: { nodeName } }) => nodeName ?? []);
  const groupOf = (apiVersion: string, name: string | undefined): Promise<PodGroup> =>
    cluster.api.get<PodGroup>(`${place.path(apiVersion, 'podgroups')}/${name}`);
  const untilGroupGone = (name: string | undefined): Promise<boolean> =>
    waitFor(
      async () => {
        const { items } = await cluster.api.get<{ items: PodGroup[] }>(place.path(POD_GROUPS, 'podgroups'));
        return items.every(({ metadata }) => metadata?.name !== name);
      },
      { what: `the pod group ${name} to go` },
    );

  beforeAll(async () => {
    sentences = await dashboardSentences();
    cluster = await startControlPlane();
    const fates = new Fates();
    kubelet = await cluster.startKubelet({ fateOf: fates.of, nodes: NODES });
    place = await ClusterPlace.start(cluster, { fates, profiles: PROFILES });
    unseen = await place.run('nobody', RUN, wants(1));
    if (withCoscheduling) await cluster.startCoscheduling();
  }, 3_600_000);
  afterAll(async () => {
    await place.stop();
    await cluster.stop();
  });

  itTogether(
    'hold no GPU while there is not room for all of them, say why, and start soon after a node brought it',
    async () => {
      const spec = await place.run('room', RUN, wants(3));
      const waiting = await place.until(spec, ({ reason }) => reason === 'waiting-for-gpus');
      expect(waiting).toMatchObject({
        ...{ phase: 'scheduling', params: { resource: 'nvidia.com/gpu', needed: 8, nodes: 3 } },
        message: 'Waiting for GPUs: needs 8 on each of 3 nodes at once.',
        excerpt: expect.stringContaining('Insufficient nvidia.com/gpu'),
      });
      expect(sentences('en', waiting)).toBe('Waiting for GPUs: needs 8 on each of 3 nodes at once');
      expect(sentences('zh', waiting)).toBe('正在等待 GPU：3 个节点须同时各需要 8 个');
      // What it waits for is free for others, in the inventory's eyes and in truth.
      expect(await place.fit('room', { nodes: 2, devicesPerNode: 8 })).toMatchObject({ fitsNow: true });
      const other = await place.run('room', RUN, wants(2));
      await place.running(other);
      expect(await placesOf(spec)).toEqual([]);
      await place.change(other, CANCELLED);
      await place.ended(other);
      await kubelet.addNode({ name: 'room-3', labels: { [OF]: 'room' } });
      const running = await place.running(spec);
      expect(running).toMatchObject({ attempt: 1, incarnation: 1 });
      expect((await placesOf(spec)).sort()).toEqual(['room-1', 'room-2', 'room-3']);
      expect((await groupOf(POD_GROUPS, running.objectName)).spec.minMember).toBe(3);
    },
  );

  itTogether(
    'get all of their places or none when two of them want the same ones; their group goes with their Job',
    async () => {
      const both = await Promise.all([1, 2].map(() => place.run('rivals', RUN, wants(2))));
      const [first, second] = await waitFor(
        async () => {
          const statuses = await Promise.all(both.map(({ runId }) => place.harness.status(runId)));
          const at = statuses.findIndex((status) => status?.phase === 'running');
          return at < 0 ? undefined : ([both[at], both[1 - at]] as [RunSpec, RunSpec]);
        },
        { what: 'one of the two to run' },
      );
      const waiting = await place.until(second, ({ reason }) => reason === 'waiting-for-gpus');
      expect(waiting.params).toMatchObject({ needed: 8, nodes: 2 });
      expect(await placesOf(first)).toHaveLength(2);
      expect(await placesOf(second)).toEqual([]);
      const stopped = await place.change(first, CANCELLED);
      const { objectName } = await place.ended(first);
      await place.change(stopped, { closed: true });
      await place.running(second);
      await untilGroupGone(objectName);
    },
  );

  itTogether('end with what they waited for when it does not come in time, and leave nothing behind', async () => {
    const spec = await place.run('patience', RUN, wants(2));
    const status = await place.ended(spec);
    expect(status).toMatchObject({
      ...{ reason: 'waiting-for-gpus', params: { needed: 8, nodes: 2 } },
      message: 'Waiting for GPUs: needs 8 on each of 2 nodes at once.',
    });
    await untilGroupGone(status.objectName);
    expect(await place.podsOf(spec)).toEqual([]);
  });

  it('say which kind is missing while they wait for it, are stopped then like others, and go on when it is there', async () => {
    const runs = await Promise.all([1, 2].map(() => place.run('volcano', RUN, wants(1))));
    const [spec, other] = runs as [RunSpec, RunSpec];
    const told = await place.until(spec, ({ reason }) => reason === 'config-missing');
    expect(told).toMatchObject({
      ...{ phase: 'starting', params: { name: `The kind PodGroup (${VOLCANO_GROUPS})` } },
      message: `The kind PodGroup (${VOLCANO_GROUPS}) is missing in the cluster.`,
      excerpt: expect.stringContaining('404'),
    });
    expect(await place.jobOf(spec)).toMatchObject({ spec: { suspend: true } });
    await place.change(other, CANCELLED);
    expect(await place.ended(other)).toMatchObject({ reason: 'stopped', incarnation: 0 });
    await cluster.apply(VOLCANO_KIND);
    const { objectName } = await place.running(spec);
    expect(await groupOf(VOLCANO_GROUPS, objectName)).toMatchObject({ spec: { minMember: 1, queue: 'team' } });
    await cluster.api.delete(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${VOLCANO_KIND.metadata?.name}`);
  });

  it('say that no scheduler answers to the name in their profile, and end so', async () => {
    const told = await place.until(unseen, ({ reason }) => reason === 'config-missing');
    expect(told).toMatchObject({
      params: { name: 'A working scheduler "nobody"' },
      message: 'A working scheduler "nobody" is missing in the cluster.',
    });
    expect(sentences('zh', told)).toContain('A working scheduler "nobody"');
    expect(await place.ended(unseen)).toMatchObject({ reason: 'config-missing', message: told.message });
  });
});

/** Only the kind: nobody acts upon it here. */
const VOLCANO_KIND: KubeObject = {
  ...{ apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition' },
  metadata: { name: 'podgroups.scheduling.volcano.sh' },
  spec: {
    ...{ group: 'scheduling.volcano.sh', scope: 'Namespaced', names: { kind: 'PodGroup', plural: 'podgroups' } },
    versions: [
      {
        ...{ name: 'v1beta1', served: true, storage: true },
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
};
