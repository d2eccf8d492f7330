import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { getCluster } from '@luthier/contracts';
import type { FitAnswer, RunSpec } from '@luthier/contracts';
import { waitFor } from '@luthier/testing';
import { canRunKubernetes, startControlPlane } from '@luthier/testing/kube';
import type { ControlPlane, FakeNode, KubeObject } from '@luthier/testing/kube';
import type { RunShape } from '../inventory/inventory-source.js';
import { ClusterPlace, Fates, fakeProfile } from '../testing/cluster-place.js';
import type { ClusterProfile } from './cluster-profile.js';

const CLAIMED = { 'test.luthier.dev/devices': 'claimed' };
const MIG_PRODUCT = 'NVIDIA-H100-80GB-HBM3-MIG-1g.10gb';
/** One machine of each kind that companies have. */
const NODES: readonly FakeNode[] = [
  { name: 'h100', gpus: 2 },
  { name: 'a100', gpus: 2, product: 'NVIDIA-A100-SXM4-40GB', gpuMemoryMib: 40_960, compute: '8.0' },
  { name: 'time-sliced', gpus: 1, sharing: 'time-slicing', replicas: 4 },
  { name: 'renamed', gpus: 1, allocatable: { 'nvidia.com/gpu': '0', 'nvidia.com/gpu.shared': '4' } },
  { name: 'mig-mixed', gpus: 1, mig: { '1g.10gb': 3, '3g.40gb': 1 } },
  {
    ...{ name: 'mig-single', gpus: 3, product: MIG_PRODUCT, gpuMemoryMib: 9_728 },
    labels: { 'nvidia.com/mig.strategy': 'single' },
  },
  { name: 'amd', gpus: 2, vendor: 'amd' },
  { name: 'named', gpus: 2, allocatable: { 'nvidia.com/gpu': '0', 'example.com/h100': '2' } },
  // Its driver hands them out by claims: the node itself counts none.
  { name: 'claimed', gpus: 0, labels: CLAIMED },
];
const NVIDIA = { deviceResource: 'nvidia.com/gpu' } as const;
const PROFILES: readonly ClusterProfile[] = [
  ...[fakeProfile('gpu', NVIDIA), fakeProfile('any-gpu', { ...NVIDIA, sharedDevices: true })],
  fakeProfile('newest', { ...NVIDIA, computeMajorAtLeast: 10 }),
  fakeProfile('small', { deviceResource: 'nvidia.com/mig-1g.10gb' }),
  fakeProfile('half', { deviceResource: 'nvidia.com/mig-3g.40gb' }),
  fakeProfile('shares', { deviceResource: 'nvidia.com/gpu.shared', sharedDevices: true }),
  fakeProfile('amd', { deviceResource: 'amd.com/gpu', deviceLabels: 'amd' }),
  fakeProfile('named', {
    deviceResource: 'example.com/h100',
    tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists' }],
  }),
  fakeProfile('claims', { ...NVIDIA, deviceLabels: 'none', nodeSelector: CLAIMED, preRunningSeconds: 600 }),
];
const RUN: { type: 'run' } = { type: 'run' };
const CANCELLED = { desired: 'stopped', stopReason: 'cancel' } as const;

/** What is asked for, and where alone it may land. */
const LANDINGS: readonly [what: string, profile: string, shape: Partial<RunShape>, nodes: string[]][] = [
  ['whole GPUs, not shared ones or parts', 'gpu', { devicesPerNode: 2, deviceMemoryMib: 20_000 }, ['h100', 'a100']],
  ['more memory than most have', 'gpu', { deviceMemoryMib: 60_000 }, ['h100']],
  ['a product', 'gpu', { deviceType: 'A100' }, ['a100']],
  ['GPUs that are split alike, as if each part were one', 'gpu', { deviceType: '1g.10gb' }, ['mig-single']],
  ['a shared GPU', 'any-gpu', { deviceType: 'shared' }, ['time-sliced']],
  ['shares by a name of their own', 'shares', { deviceMemoryMib: 60_000 }, ['renamed']],
  ['a part, by its memory', 'small', { deviceMemoryMib: 9_000 }, ['mig-mixed']],
  ['a part, by its product', 'half', { deviceType: 'H100' }, ['mig-mixed']],
  ['AMD', 'amd', { deviceType: 'MI300X', devicesPerNode: 2 }, ['amd']],
  ['a resource that the cluster has named itself', 'named', { deviceMemoryMib: 60_000 }, ['named']],
];

/** As far as it is said. */
type Answer = Partial<Omit<FitAnswer, 'nearest'>> & { nearest?: Partial<FitAnswer['nearest']> };

const NEVER: readonly [what: string, profile: string, shape: Partial<RunShape>, answer: Answer][] = [
  [
    'more than any node has',
    'gpu',
    { devicesPerNode: 4 },
    {
      ...{ reason: 'node-too-small', nearest: { nodes: 2, devicesPerNode: 2, deviceType: null } },
      message: 'No node has 4 GPUs; the largest has 3. Use 2 nodes x 2 GPUs.',
    },
  ],
  [
    'more memory than any has',
    'gpu',
    { deviceMemoryMib: 100_000 },
    { reason: 'device-memory-too-small', params: { neededMib: 100_000, largestMib: 81_559 } },
  ],
  [
    'more memory than a part has',
    'small',
    { deviceMemoryMib: 20_000 },
    { message: 'The run needs a GPU with 20 GB; the largest here has 10 GB.' },
  ],
  [
    'a product that is not there',
    'gpu',
    { deviceType: 'B300' },
    {
      ...{ reason: 'unknown-device-type', nearest: { nodes: 1, devicesPerNode: 1, deviceType: null } },
      message: expect.stringMatching(/^There is no B300 here\. Available: .*A100-SXM4-40GB \(40 GB\) x2/) as never,
    },
  ],
  ['newer GPUs', 'newest', {}, { reason: 'device-too-old', params: { needed: 10, newest: 9 } }],
  [
    'several shared GPUs',
    'any-gpu',
    { devicesPerNode: 2, deviceType: 'shared' },
    { reason: 'devices-shared', nearest: { nodes: 1, devicesPerNode: 1, deviceType: 'shared' } },
  ],
  [
    'more AMD GPUs than there are',
    'amd',
    { devicesPerNode: 3 },
    { message: 'No node has 3 GPUs; the largest has 2. Use 2 GPUs.' },
  ],
];

const inCluster = (await canRunKubernetes()) ? describe : describe.skip;

inCluster('runs on devices', () => {
  let cluster: ControlPlane;
  let place: ClusterPlace;

  const resourcesOf = ({ deviceProducts }: FitAnswer, shape: Partial<RunShape>): RunSpec['resources'] => ({
    ...{ nodes: 1, devicesPerNode: shape.devicesPerNode ?? 1, deviceMemoryMib: shape.deviceMemoryMib ?? 0 },
    ...{ cpu: 1, memoryMib: 64, scratchMib: 64 },
    ...(deviceProducts.length > 0 && { deviceProducts }),
  });
  const stop = async (spec: RunSpec): Promise<void> => {
    await place.change(spec, CANCELLED);
    await place.ended(spec);
  };

  beforeAll(async () => {
    cluster = await startControlPlane();
    const fates = new Fates();
    await cluster.startKubelet({ fateOf: fates.of, nodes: NODES });
    place = await ClusterPlace.start(cluster, { fates, profiles: PROFILES });
  }, 900_000);
  afterAll(async () => {
    await place.stop();
    await cluster.stop();
  });

  it.each(LANDINGS)('land only where they find %s', async (_what, profile, shape, nodes) => {
    const fit = await place.fit(profile, shape);
    expect(fit).toMatchObject({ canEverFit: true, fitsNow: true });
    const spec = await place.run(profile, RUN, { resources: resourcesOf(fit, shape) });
    await place.running(spec);
    expect(nodes).toContain((await place.podOf(spec)).spec.nodeName);
    await stop(spec);
  });

  it.each(NEVER)('are told at once that they never fit, and what would: %s', async (_what, profile, shape, answer) => {
    expect(await place.fit(profile, shape)).toMatchObject({ canEverFit: false, fitsNow: false, ...answer });
  });

  it('that are handed out by claims: are counted, are waited for while they are taken, and are free again', async () => {
    await cluster.apply(...claimedDevices(6));
    const free = async (): Promise<number | undefined> =>
      (await place.bus.request(getCluster, {})).nodes.find(({ name }) => name === 'claimed')?.devices[0]?.free;
    const untilFree = (count: number): Promise<boolean> =>
      waitFor(async () => (await free()) === count, { what: `${count} free devices` });
    await untilFree(6);
    const { groups } = await place.bus.request(getCluster, {});
    expect(groups).toContainEqual(
      expect.objectContaining({ product: 'NVIDIA H100 80GB HBM3', total: 6, deviceMemoryMib: 81_559 }),
    );
    const want = async (devicesPerNode: number): Promise<RunSpec> => {
      const fit = await place.fit('claims', { devicesPerNode });
      expect(fit.canEverFit).toBe(true);
      return place.run('claims', RUN, { resources: resourcesOf(fit, { devicesPerNode }) });
    };
    const pairs = await Promise.all([want(3), want(3)]);
    for (const spec of pairs) {
      await place.running(spec);
      expect((await place.podOf(spec)).spec.nodeName).toBe('claimed');
    }
    await untilFree(0);
    expect(await place.fit('claims', { devicesPerNode: 6 })).toMatchObject({ fitsNow: false, reason: 'devices-busy' });
    expect(await place.fit('claims', { devicesPerNode: 8 })).toMatchObject({
      ...{ canEverFit: false, message: 'No node has 8 GPUs; the largest has 6. Use 6 GPUs.' },
    });
    // No node counts as many: only the driver's list knows that they fit.
    const all = await want(6);
    const waiting = await place.until(all, ({ phase, reason }) => phase === 'ended' || reason === 'waiting-for-gpus');
    expect(waiting).toMatchObject({
      ...{ phase: 'scheduling', message: 'Waiting for GPUs: needs 6 on one node.' },
      excerpt: expect.stringContaining('cannot allocate all claims'),
    });
    for (const spec of pairs) await stop(spec);
    await place.running(all);
    await stop(all);
    await untilFree(6);
    await removeClaimedDevices(cluster);
  });
});

const DRIVER = 'gpu.nvidia.com';
const API = 'resource.k8s.io/v1';

/** As a driver lists them, and as an administrator lets pods ask for them by the usual name. */
function claimedDevices(count: number): KubeObject[] {
  const devices = Array.from({ length: count }, (_, index) => ({
    name: `gpu-${index}`,
    attributes: {
      type: { string: 'gpu' },
      productName: { string: 'NVIDIA H100 80GB HBM3' },
      cudaComputeCapability: { version: '9.0.0' },
    },
    capacity: { memory: { value: '81559Mi' } },
  }));
  return [
    {
      ...{ apiVersion: API, kind: 'DeviceClass', metadata: { name: DRIVER } },
      spec: {
        selectors: [{ cel: { expression: `device.driver == "${DRIVER}"` } }],
        extendedResourceName: 'nvidia.com/gpu',
      },
    },
    {
      ...{ apiVersion: API, kind: 'ResourceSlice', metadata: { name: 'claimed' } },
      spec: {
        ...{ driver: DRIVER, nodeName: 'claimed', devices },
        pool: { name: 'claimed', generation: 1, resourceSliceCount: 1 },
      },
    },
  ];
}

async function removeClaimedDevices({ api }: ControlPlane): Promise<void> {
  await api.delete(`/apis/${API}/resourceslices/claimed`);
  await api.delete(`/apis/${API}/deviceclasses/${DRIVER}`);
}
