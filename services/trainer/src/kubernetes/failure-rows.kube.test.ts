import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CODE_OF_REASON, RETRIED_CODES } from '@luthier/contracts';
import type { RunStatus } from '@luthier/contracts';
import { waitFor } from '@luthier/testing';
import { canRunKubernetes, startControlPlane } from '@luthier/testing/kube';
import type { ControlPlane, FakeKubelet, FakeNode, Fate } from '@luthier/testing/kube';
import { ClusterPlace, Fates, fakeProfile } from '../testing/cluster-place.js';
import { dashboardSentences } from '../testing/told-sentence.js';
import { ANNOTATION } from './names.js';

/** Nodes of a row are its own: its profile asks for their label. */
const ROW = 'test.luthier.dev/row';
const node = (row: string, name: string, gpus = 0): FakeNode => ({ name, gpus, labels: { [ROW]: row } });
const NODES = [
  ...[node('plain', 'plain-1'), node('tainted', 'tainted-1'), node('urgent', 'urgent-1', 8), node('drain', 'drain-1')],
  ...[node('xid', 'xid-1', 8), node('xid', 'xid-2', 8), node('broken', 'broken-1', 8), node('broken', 'broken-2', 8)],
  ...[node('lost', 'lost-1'), node('lost', 'lost-2'), node('back', 'back-1'), node('gone', 'gone-1')],
];
const on = (row: string, over: Parameters<typeof fakeProfile>[1] = {}) =>
  fakeProfile(row, { nodeSelector: { [ROW]: row }, ...over });
const GPU = { deviceResource: 'nvidia.com/gpu' } as const;
/** Only what never begins may have to begin soon: a busy machine takes its time. */
const HASTY = { preRunningSeconds: 8 } as const;
const LOST = { nodeLostSeconds: 2 } as const;
const PROFILES = [
  ...[on('plain'), on('tainted', HASTY), on('drain'), on('lost', LOST), on('gone', LOST), on('back')],
  ...[on('urgent', GPU), on('xid', GPU), on('broken', GPU), fakeProfile('any-gpu', { ...GPU, ...HASTY })],
  on('hasty', { ...HASTY, nodeSelector: { [ROW]: 'plain' } }),
  on('silent', { nodeSelector: { [ROW]: 'plain' }, stallSeconds: 8 }),
  on('patient', { nodeSelector: { [ROW]: 'plain' }, stallSeconds: 20 }),
];
const gpus = (devicesPerNode: number) => ({
  resources: { nodes: 1, devicesPerNode, deviceMemoryMib: 40_000, cpu: 1, memoryMib: 64, scratchMib: 64 },
});
const end = (exitCode: number, over: Partial<Extract<Fate, { type: 'end' }>> = {}): Fate => ({
  ...{ type: 'end', exitCode },
  ...over,
});
const words = (code: string, message: string): string => JSON.stringify({ code, message, hint: 'do this', step: 7 });
const XID = 'NVRM: Xid (PCI:0000:4b:00): 79, pid=1, GPU has fallen off the bus.';

interface Row {
  /** Brings the run to its end. */
  ends: (places: Places) => Promise<RunStatus>;
  reason: RunStatus['reason'];
  params?: RunStatus['params'];
  /** In the sentence of the API, and in the Chinese one. */
  en: RegExp;
  zh: RegExp;
  /** The cluster's own words; absent: it has none, or the process said it itself. */
  excerpt?: RegExp;
  retried: boolean;
}
interface Places {
  cluster: ControlPlane;
  kubelet: FakeKubelet;
  main: ClusterPlace;
  quota: ClusterPlace;
  limits: ClusterPlace;
  policy: ClusterPlace;
  leaving: ClusterPlace;
}

/** A pod that meets this fate, and nothing else happens to it. */
const meets =
  (fate: Fate): Row['ends'] =>
  async ({ main }) =>
    main.ended(await main.run('plain', fate));

const ROWS: Readonly<Record<string, Row>> = {
  'bad data (40)': {
    ends: meets(end(40, { message: words('data.bad', 'row 3 has no answer') })),
    ...{ reason: 'bad-data', en: /row 3 has no answer/, zh: /训练数据/, retried: false },
  },
  'bad configuration (41)': {
    ends: meets(end(41)),
    ...{ reason: 'bad-configuration', en: /configuration cannot be run/, zh: /配置/, retried: false },
  },
  'no device memory (42)': {
    ends: meets(end(42)),
    ...{ reason: 'device-out-of-memory', en: /GPU memory ran out/, zh: /GPU 内存不足/, retried: false },
  },
  'divergence (43)': {
    ends: meets(end(43)),
    ...{ reason: 'diverged', en: /infinite or not a number/, zh: /无穷大/, retried: false },
  },
  'an unreadable model (44)': {
    ends: meets(end(44)),
    ...{ reason: 'model-unreadable', en: /model files cannot be read/, zh: /模型文件/, retried: false },
  },
  'a full disk (45)': {
    ends: meets(end(45)),
    ...{ reason: 'disk-full', en: /disk is full/, zh: /磁盘已满/, retried: false },
  },
  'storage that cannot be reached (50)': {
    ends: meets(end(50)),
    ...{ reason: 'storage-unreachable', en: /storage or control endpoint/, zh: /存储或控制端点/, retried: true },
  },
  'processes that lost each other (51)': {
    ends: meets(end(51)),
    ...{ reason: 'collective-failed', en: /lost each other/, zh: /失去了联系/, retried: true },
  },
  'saved and left, but nobody asked for it (60)': {
    ends: meets(end(60)),
    ...{ reason: 'interrupted', en: /interrupted; it goes on/, zh: /中断/, retried: true },
  },
  'SIGKILL that was not for memory (137)': {
    ends: meets(end(137, { message: 'the last line of the log' })),
    ...{ reason: 'killed', en: /killed from outside/, zh: /外部终止/, excerpt: /the last line/, retried: true },
  },
  'the name of an image that is none': {
    ends: meets({ type: 'wait', reason: 'InvalidImageName', message: 'couldn\'t parse image name "Bad:::x"' }),
    ...{ reason: 'image-pull', params: { cause: 'badName' }, en: /its name is not valid/, zh: /镜像/ },
    ...{ excerpt: /couldn't parse/, retried: false },
  },
  'a volume that cannot be mounted': {
    ends: meets({
      ...{ type: 'wait', reason: 'ContainerCreating', event: 'FailedMount' },
      message: 'MountVolume.SetUp failed for volume "token" : secret "hf-token" not found',
    }),
    ...{ reason: 'config-missing', params: { name: 'Secret "hf-token"' }, en: /Secret "hf-token" is missing/ },
    ...{ zh: /缺少.*hf-token/, excerpt: /MountVolume/, retried: false },
  },
  'a start that takes too long': {
    ends: async ({ main }) => main.ended(await main.run('hasty', { type: 'run', startAfterMs: 600_000 })),
    ...{ reason: 'containers-starting', en: /containers are starting/, zh: /正在启动容器/, retried: true },
  },
  'the deadline, over all attempts': {
    ends: async ({ main }) => {
      const spec = await main.run('plain', end(137, { afterMs: 8_000 }), { deadlineSeconds: 40 });
      expect(await main.ended(spec)).toMatchObject({ outcome: { code: 'runtime.killed' } });
      const second = await main.again(spec, { type: 'run' });
      await main.until(second, ({ objectUid }) => objectUid !== undefined);
      // The first attempt's seconds count. The API gives times in whole ones, so a part of one may be missing.
      const { metadata } = await main.jobOf(second);
      expect(Number(metadata?.annotations?.[ANNOTATION.ranSeconds])).toBeGreaterThanOrEqual(7);
      return main.ended(second);
    },
    ...{ reason: 'deadline-exceeded', en: /time limit/, zh: /时间上限/, retried: false },
  },
  'a GPU that fell off its bus': {
    ends: async ({ main }) => {
      const spec = await main.run('xid', end(1, { message: XID }), gpus(8));
      const status = await main.ended(spec);
      const second = await main.again(spec, { type: 'run' });
      await main.running(second);
      expect((await main.podOf(second)).spec.nodeName).not.toBe(status.params?.node);
      return status;
    },
    ...{ reason: 'gpu-fault', params: { xid: '79' }, en: /GPU failed \(XID 79\) on node "xid-/, zh: /XID 79/ },
    ...{ excerpt: /fallen off the bus/, retried: true },
  },
  'a GPU that its node counts no more': {
    ends: async ({ main, kubelet }) => {
      const spec = await main.run('broken', { type: 'run' }, gpus(8));
      await main.running(spec);
      const pod = await main.podOf(spec);
      const broken = pod.spec.nodeName ?? '';
      await kubelet.setAllocatable(broken, 'nvidia.com/gpu', '7');
      await kubelet.end(pod, { exitCode: 1, message: 'RuntimeError: unknown error' });
      const status = await main.ended(spec);
      const second = await main.again(spec, { type: 'run' });
      await main.running(second);
      expect((await main.podOf(second)).spec.nodeName).not.toBe(broken);
      return status;
    },
    ...{ reason: 'gpu-fault', en: /GPU failed on node "broken-/, zh: /GPU 发生故障/, excerpt: /unknown error/ },
    retried: true,
  },
  'a more urgent pod of the scheduler’s': {
    ends: async ({ main, cluster }) => {
      const spec = await main.run('urgent', { type: 'run' }, gpus(8));
      await main.running(spec);
      const container = { name: 'c', image: 'x', resources: { limits: { 'nvidia.com/gpu': '8' } } };
      await cluster.api.post(main.pods(), {
        metadata: { name: 'urgent' },
        spec: {
          ...{ priorityClassName: 'rows-urgent', nodeSelector: { [ROW]: 'urgent' }, containers: [container] },
          tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists' }],
        },
      });
      return main.ended(spec);
    },
    ...{ reason: 'preempted', en: /more urgent run/, zh: /更紧急/, excerpt: /preempt/i, retried: true },
  },
  'a drained node': {
    ends: async ({ main, cluster }) => {
      const spec = await main.run('drain', { type: 'run' });
      await main.running(spec);
      const { name } = (await main.podOf(spec)).metadata;
      const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name } };
      await cluster.api.post(`${main.pods()}/${name}/eviction`, eviction);
      return main.ended(spec);
    },
    ...{ reason: 'evicted', params: { node: 'drain-1' }, en: /moved this run away from node "drain-1"/, zh: /drain-1/ },
    ...{ excerpt: /evict/i, retried: true },
  },
  'a node that stops answering: fenced, and gone on with elsewhere': {
    ends: async ({ main, kubelet }) => {
      const spec = await main.run('lost', { type: 'run' });
      await main.running(spec);
      const lost = (await main.podOf(spec)).spec.nodeName ?? '';
      kubelet.silence(lost);
      const status = await main.ended(spec);
      // The old pod is still there, as far as anybody can know.
      expect((await main.podsOf(spec)).map((pod) => pod.status?.phase)).toEqual(['Running']);
      const second = await main.again(spec, { type: 'run' });
      await main.running(second);
      expect((await main.podOf(second)).spec.nodeName).not.toBe(lost);
      await kubelet.restore(lost);
      await waitFor(async () => (await main.podsOf(spec)).length === 0);
      return status;
    },
    ...{ reason: 'node-lost', en: /Node "lost-\d" stopped answering/, zh: /lost-\d”.*失去响应/, retried: true },
  },
  'a node that is removed from the cluster': {
    ends: async ({ main, kubelet }) => {
      const spec = await main.run('gone', { type: 'run' });
      await main.running(spec);
      await kubelet.removeNode('gone-1');
      // The collector of pods goes round every 20 s, and lets a node be gone for 40 s before it believes it.
      return main.ended(spec, { timeoutMs: 180_000 });
    },
    ...{ reason: 'node-lost', params: { node: 'gone-1' }, en: /Node "gone-1" stopped answering/, zh: /gone-1/ },
    retried: true,
  },
  'silence although the pod runs': {
    ends: async ({ main }) => main.ended(await main.run('silent', { type: 'run' })),
    ...{ reason: 'stalled', en: /Nothing has been heard/, zh: /没有进展/, retried: true },
  },
  'signs of life without a step': {
    ends: async ({ main }) => {
      const behaviour = { steps: 5, stepMs: 600_000, heartbeatMs: 300 };
      return main.ended(await main.run('patient', { type: 'process' }, {}, behaviour));
    },
    ...{ reason: 'stalled', en: /lives but has made no step/, zh: /没有进展/, retried: true },
  },
  'a type of GPU that no node has': {
    ends: async ({ main }) => {
      const { resources } = gpus(1);
      const spec = await main.run(
        'any-gpu',
        { type: 'run' },
        { resources: { ...resources, deviceProducts: ['B300'] } },
      );
      return main.ended(spec);
    },
    ...{ reason: 'no-matching-node', en: /No node of the cluster matches/, zh: /没有符合要求的节点/ },
    ...{ excerpt: /nodes are available/, retried: true },
  },
  'a taint that is not tolerated': {
    ends: async ({ main }) => main.ended(await main.run('tainted', { type: 'run' })),
    ...{ reason: 'no-matching-node', en: /untolerated taint|matches what the run asks/, zh: /没有符合要求的节点/ },
    ...{ excerpt: /untolerated taint/, retried: true },
  },
  'a quota that is too small': {
    ends: async ({ quota }) => quota.ended(await quota.run('any-gpu', { type: 'run' }, gpus(4))),
    reason: 'quota-exceeded',
    params: { quota: 'team', needed: 4, used: 0, limit: 2 },
    ...{ en: /Quota "team": 0 of 2 GPUs in use; this run needs 4/, zh: /配额“team”不足/ },
    ...{ excerpt: /exceeded quota: team/, retried: false },
  },
  'a limit range': {
    ends: async ({ limits }) => limits.ended(await limits.run('plain', { type: 'run' })),
    ...{ reason: 'object-refused', en: /refused the run: maximum memory usage/, zh: /拒绝/ },
    ...{ excerpt: /is forbidden: maximum memory usage/, retried: false },
  },
  'an admission policy': {
    ends: async ({ policy }) => policy.ended(await policy.run('plain', { type: 'run' })),
    ...{ reason: 'object-refused', en: /refused the run: .*no trainings on Fridays/, zh: /拒绝.*no trainings/ },
    ...{ excerpt: /denied request: no trainings on Fridays/, retried: false },
  },
  'a namespace that is being deleted': {
    ends: async ({ leaving, cluster }) => {
      const at = `/api/v1/namespaces/${leaving.namespace}`;
      // Held, so that it stays on its way out.
      await cluster.api.post(`${at}/configmaps`, { metadata: { name: 'held', finalizers: ['test.luthier.dev/held'] } });
      await cluster.api.delete(at);
      const status = await leaving.ended(await leaving.run('plain', { type: 'run' }));
      await cluster.api.mergePatch(`${at}/configmaps/held`, { metadata: { finalizers: null } });
      return status;
    },
    ...{
      reason: 'namespace-terminating',
      en: /namespace "t-\w+" for training is being deleted/,
      zh: /命名空间“t-\w+”正在被删除/,
    },
    ...{ excerpt: /being terminated/, retried: false },
  },
};

/** How many rows happen at a time. */
const WIDTH = 10;
const inCluster = (await canRunKubernetes()) ? describe : describe.skip;

inCluster('a run in a cluster tells its end in words: because of', () => {
  const started = new Map<string, PromiseWithResolvers<RunStatus>>(
    Object.keys(ROWS).map((name) => [name, Promise.withResolvers()]),
  );
  let places: Places;
  let sentences: Awaited<ReturnType<typeof dashboardSentences>>;

  beforeAll(async () => {
    sentences = await dashboardSentences();
    const cluster = await startControlPlane();
    const fates = new Fates();
    const kubelet = await cluster.startKubelet({ fateOf: fates.of, nodes: NODES });
    const place = (labels = {}) => ClusterPlace.start(cluster, { fates, profiles: PROFILES, labels });
    const [main, quota, limits, policy, leaving] = await Promise.all([
      ...[place(), place(), place(), place({ [ROW]: 'policy' }), place()],
    ] as const);
    places = { cluster, kubelet, main, quota, limits, policy, leaving };
    await prepare(places);
    void happen([...started], places);
  }, 900_000);

  afterAll(async () => {
    const { cluster, main, quota, limits, policy, leaving } = places;
    await Promise.all([main, quota, limits, policy, leaving].map((place) => place.stop()));
    const admission = '/apis/admissionregistration.k8s.io/v1';
    await cluster.api.delete(`${admission}/validatingadmissionpolicybindings/rows`);
    await cluster.api.delete(`${admission}/validatingadmissionpolicies/rows`);
    await cluster.api.delete('/apis/scheduling.k8s.io/v1/priorityclasses/rows-urgent');
    await cluster.stop();
  });

  it.each(Object.entries(ROWS))('%s', async (name, { reason, params = {}, en, zh, excerpt, retried }) => {
    const status = await started.get(name)?.promise;
    if (!status) throw new Error(`the row "${name}" was not begun`);
    expect(status).toMatchObject({ phase: 'ended', reason });
    expect(status.params ?? {}).toMatchObject(params);
    const chinese = sentences('zh', status);
    for (const [said, expected] of [
      [status.message, en],
      [chinese, zh],
    ] as const) {
      expect(said).toMatch(expected);
      expect(said).not.toMatch(/[{}]|\bnone\b|undefined|\bNaN\b/);
    }
    expect(sentences('en', status)).not.toMatch(/[{}]|\bnone\b|undefined|\bNaN\b/);
    if (excerpt) expect(status.excerpt).toMatch(excerpt);
    const code = status.outcome?.code ?? CODE_OF_REASON[status.reason];
    expect(code !== null && RETRIED_CODES.includes(code)).toBe(retried);
  });

  it('a node that answers again in time: the run is told of it, goes on, and is the same attempt', async () => {
    const { main, kubelet } = places;
    const spec = await main.run('back', { type: 'run' });
    const before = await main.running(spec);
    kubelet.silence('back-1');
    const silent = await main.until(spec, ({ reason }) => reason === 'node-lost');
    expect(silent).toMatchObject({ phase: 'running', params: { node: 'back-1' } });
    expect(sentences('zh', silent)).toMatch(/back-1”.*失去响应/);
    await kubelet.restore('back-1');
    const after = await main.until(spec, ({ reason }) => reason === 'process-running');
    expect(after).toMatchObject({ attempt: 1, incarnation: before.incarnation, pods: before.pods });
  });

  it('slowness is not silence: steps that each take half of the time allowed are waited for', async () => {
    const { main } = places;
    const spec = await main.run('patient', { type: 'process' }, {}, { steps: 2, stepMs: 10_000 });
    expect(await main.ended(spec)).toMatchObject({ reason: 'succeeded', outcome: { step: 2 } });
  });
});

async function prepare({ cluster, quota, limits, policy }: Places): Promise<void> {
  const taints = [{ key: 'test.luthier.dev/reserved', effect: 'NoSchedule' }];
  const admission = 'admissionregistration.k8s.io/v1';
  await cluster.api.mergePatch('/api/v1/nodes/tainted-1', { spec: { taints } });
  await cluster.apply(
    {
      ...{ apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'team', namespace: quota.namespace } },
      spec: { hard: { 'requests.nvidia.com/gpu': '2' } },
    },
    {
      ...{ apiVersion: 'v1', kind: 'LimitRange', metadata: { name: 'small', namespace: limits.namespace } },
      spec: { limits: [{ type: 'Container', max: { memory: '32Mi' } }] },
    },
    {
      ...{ apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name: 'rows-urgent' } },
      ...{ value: 1_000_000, globalDefault: false },
    },
    {
      ...{ apiVersion: admission, kind: 'ValidatingAdmissionPolicy', metadata: { name: 'rows' } },
      spec: {
        matchConstraints: {
          resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
        },
        validations: [{ expression: 'false', message: 'no trainings on Fridays' }],
      },
    },
    {
      ...{ apiVersion: admission, kind: 'ValidatingAdmissionPolicyBinding', metadata: { name: 'rows' } },
      spec: {
        ...{ policyName: 'rows', validationActions: ['Deny'] },
        matchResources: { namespaceSelector: { matchLabels: { [ROW]: 'policy' } } },
      },
    },
  );
  // It takes a moment until a new policy is heeded.
  const probe = { metadata: { generateName: 'probe-' }, spec: { containers: [{ name: 'c', image: 'x' }] } };
  const pods = `/api/v1/namespaces/${policy.namespace}/pods`;
  const refused = (): Promise<boolean> =>
    cluster.api.call('POST', pods, { body: probe, query: { dryRun: 'All' } }).then(
      () => false,
      (cause: unknown) => String(cause).includes('Fridays'),
    );
  await waitFor(refused);
}

/** Several rows at a time; each tells its own fault. */
async function happen(started: [string, PromiseWithResolvers<RunStatus>][], places: Places): Promise<void> {
  const next = async (): Promise<void> => {
    for (let entry = started.shift(); entry; entry = started.shift()) {
      const [name, { resolve, reject, promise }] = entry;
      promise.catch(() => undefined); // told when its test looks
      await (ROWS[name]?.ends(places) ?? Promise.reject(new Error('no such row'))).then(resolve, reject);
    }
  };
  await Promise.all(Array.from({ length: WIDTH }, next));
}
