import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { nodeObject, podObject } from '../../testing/cluster-objects.js';
import type { ClusterSnapshot, SnapshotNode } from './cluster-snapshot.js';
import { fit } from './fit.js';
import type { FitRequest } from './fit-request.js';
import { isOfType } from './node-filters.js';
import { takeSnapshot } from './snapshot.js';
import type { SnapshotInput } from './snapshot.js';

const GPU = 'nvidia.com/gpu';
const wish = (nodes: number, devicesPerNode: number, rest: Partial<FitRequest> = {}): FitRequest => ({
  resources: { nodes, devicesPerNode, deviceMemoryMib: 0, cpu: 1, memoryMib: 1_024 },
  deviceResource: GPU,
  ...rest,
});
const cluster = (input: Partial<SnapshotInput>): ClusterSnapshot =>
  takeSnapshot({ namespace: 'tune', nodes: [], pods: [], ...input });
const eights = (count: number) => Array.from({ length: count }, (_, i) => nodeObject(`gpu-${i + 1}`));

describe('fit: the sentence for each obstacle', () => {
  it('places what there is room for', () => {
    expect(fit(wish(2, 8), cluster({ nodes: eights(2) }))).toEqual({
      canEverFit: true,
      fitsNow: true,
      reason: 'fits',
      params: {},
      message: 'There is room for it now.',
      deviceProducts: [],
      nearest: null,
    });
  });

  it('waits for devices that others have', () => {
    const snapshot = cluster({
      nodes: eights(1),
      pods: [podObject('a', { [GPU]: '5' }, { node: 'gpu-1' })],
    });
    expect(fit(wish(1, 8), snapshot)).toMatchObject({
      canEverFit: true,
      fitsNow: false,
      reason: 'devices-busy',
      message: 'Waiting for GPUs: needs 8 on one node, 3 free now.',
    });
  });

  it('tells free devices that lie apart from free devices together', () => {
    const snapshot = cluster({
      nodes: eights(2),
      pods: ['gpu-1', 'gpu-2'].map((node) => podObject(node, { [GPU]: '4' }, { node })),
    });
    expect(fit(wish(1, 8), snapshot).message).toBe(
      'Waiting for GPUs: needs 8 on one node, 8 free now, at most 4 of them together.',
    );
    expect(fit(wish(2, 8), snapshot).message).toBe('Waiting for GPUs: needs 2 nodes x 8 GPUs, 0 of 2 places free now.');
  });

  it('refuses more devices than a node has and names the shape that fits', () => {
    expect(fit(wish(1, 16), cluster({ nodes: eights(2) }))).toMatchObject({
      canEverFit: false,
      fitsNow: false,
      reason: 'node-too-small',
      message: 'No node has 16 GPUs; the largest has 8. Use 2 nodes x 8 GPUs.',
      nearest: { nodes: 2, devicesPerNode: 8, deviceType: null, otherType: false, withoutQueue: false },
    });
  });

  it('names the most that fits when no shape gives as many', () => {
    expect(fit(wish(4, 8), cluster({ nodes: eights(3) }))).toMatchObject({
      reason: 'too-few-nodes',
      message: 'The run needs 4 nodes x 8 GPUs; there are 3 such places. Use 3 nodes x 8 GPUs.',
    });
  });

  it('refuses a type of device that is not there and says which are', () => {
    const nodes = [nodeObject('a', { gpus: 4, product: 'NVIDIA-A10', memoryMib: 24_564 })];
    expect(fit(wish(1, 1, { deviceType: 'H100' }), cluster({ nodes }))).toMatchObject({
      canEverFit: false,
      reason: 'unknown-device-type',
      message: 'There is no H100 here. Available: A10 (24 GB) x4. Use 1 GPU of another type.',
    });
  });

  it('refuses what no device has memory for, what is too old, and what is shared', () => {
    const a10 = nodeObject('a', { gpus: 4, product: 'NVIDIA-A10', memoryMib: 24_564 });
    const request = wish(1, 1);
    const large = { ...request, resources: { ...request.resources, deviceMemoryMib: 40_000 } };
    expect(fit(large, cluster({ nodes: [a10] }))).toMatchObject({
      canEverFit: false,
      message: 'The run needs a GPU with 39 GB; the largest here has 24 GB.',
    });
    expect(fit(wish(1, 1, { computeMajor: 10 }), cluster({ nodes: [a10] })).reason).toBe('device-too-old');
    const shared = nodeObject('s', { gpus: 8, labels: { 'nvidia.com/gpu.sharing-strategy': 'time-slicing' } });
    expect(fit(wish(1, 2), cluster({ nodes: [shared] }))).toMatchObject({ reason: 'devices-shared' });
    expect(fit(wish(1, 1), cluster({ nodes: [shared] })).reason).toBe('devices-shared');
    expect(fit(wish(1, 1, { allowShared: true }), cluster({ nodes: [shared] })).fitsNow).toBe(true);
    expect(fit(wish(1, 2, { allowShared: true }), cluster({ nodes: [shared] })).reason).toBe('devices-shared');
    const silent = nodeObject('n', { gpus: 0, allocatable: { [GPU]: '8' } });
    expect(fit(large, cluster({ nodes: [silent] })).message).toBe(
      'The run needs a GPU with 39 GB; the nodes do not say how much theirs have.',
    );
  });

  it('keeps to taints and labels, and waits for nodes that come back', () => {
    const nodes = [
      nodeObject('a', {
        labels: { pool: 'train' },
        taints: [{ key: GPU, value: 'present', effect: 'NoSchedule' }],
      }),
    ];
    const snapshot = cluster({ nodes });
    expect(fit(wish(1, 1), snapshot).reason).toBe('nodes-not-allowed');
    const tolerations = [{ key: GPU, operator: 'Exists', effect: 'NoSchedule' }];
    expect(fit(wish(1, 1, { tolerations, nodeSelector: { pool: 'train' } }), snapshot).fitsNow).toBe(true);
    expect(fit(wish(1, 1, { tolerations, nodeSelector: { pool: 'web' } }), snapshot).reason).toBe('nodes-not-allowed');
    expect(fit(wish(1, 1), cluster({ nodes: [nodeObject('a', { ready: false })] }))).toMatchObject({
      canEverFit: true,
      fitsNow: false,
      reason: 'nodes-not-ready',
    });
  });

  it('names CPU and memory beside the devices when they are what is missing', () => {
    const nodes = [nodeObject('a', { cpu: '8', memory: '64Gi' })];
    const request = wish(1, 1);
    const resources = { ...request.resources, cpu: 16 };
    expect(fit({ ...request, resources }, cluster({ nodes })).message).toBe(
      'The run needs a node with 16 CPU cores; the largest that would do has 8.',
    );
    const pods = [podObject('p', { memory: '60Gi' }, { node: 'a' })];
    const large = { ...request.resources, memoryMib: 8_192 };
    expect(fit({ ...request, resources: large }, cluster({ nodes, pods })).message).toBe(
      'Waiting for memory: needs a node with 8 GB free, at most 4 GB are now.',
    );
  });

  it('checks the quota of the team, for ever and for now', () => {
    const quota = (hard: string, used: string) => [
      {
        metadata: { name: 'team', namespace: 'tune' },
        status: { hard: { [`requests.${GPU}`]: hard }, used: { [`requests.${GPU}`]: used } },
      },
    ];
    expect(fit(wish(1, 4), cluster({ nodes: eights(1), resourceQuotas: quota('2', '1') }))).toMatchObject({
      canEverFit: false,
      reason: 'quota-exceeded',
      message: 'Quota "team": 2 GPUs, 1 GPU used, this run needs 4 GPUs. Use 2 GPUs.',
    });
    expect(fit(wish(1, 2), cluster({ nodes: eights(1), resourceQuotas: quota('2', '1') }))).toMatchObject({
      canEverFit: true,
      fitsNow: false,
      reason: 'quota-exceeded',
    });
  });

  it('refuses unknown queues and what a queue can never give', () => {
    const localQueues = [{ metadata: { name: 'team-a', namespace: 'tune' }, spec: { clusterQueue: 'gpu-cq' } }];
    const clusterQueues = [
      {
        metadata: { name: 'gpu-cq' },
        spec: { resourceGroups: [{ flavors: [{ name: 'f', resources: [{ name: GPU, nominalQuota: '8' }] }] }] },
        status: { flavorsReservation: [{ name: 'f', resources: [{ name: GPU, total: '4' }] }] },
      },
    ];
    const snapshot = cluster({ nodes: eights(8), localQueues, clusterQueues });
    expect(fit(wish(1, 1, { queue: 'nope' }), snapshot)).toMatchObject({
      canEverFit: false,
      message: 'Queue "nope" does not exist in namespace tune; there is team-a.',
    });
    expect(fit(wish(8, 8, { queue: 'team-a' }), snapshot)).toMatchObject({
      canEverFit: false,
      message: 'Queue "gpu-cq" has at most 8 GPUs; this run asks for 64 GPUs. Use 8 GPUs.',
    });
    expect(fit(wish(1, 8, { queue: 'team-a' }), snapshot)).toMatchObject({
      canEverFit: true,
      fitsNow: false,
      message: 'In queue "team-a": needs 8 GPUs, 4 GPUs not reserved now.',
    });
    expect(fit(wish(1, 1, { queue: 'team-a' }), cluster({ nodes: eights(1) })).message).toBe(
      'Queue "team-a" does not exist: there is no queueing system here. Use 1 GPU, without a queue.',
    );
  });

  it('knows what a queue has of CPU and memory where it counts them, and rules nothing out by a queue that is not there yet', () => {
    const localQueues = [{ metadata: { name: 'team-a', namespace: 'tune' }, spec: { clusterQueue: 'gpu-cq' } }];
    const queueWith = (name: string, nominalQuota: string) => ({
      metadata: { name: 'gpu-cq' },
      spec: {
        resourceGroups: [
          {
            flavors: [
              {
                name: 'f',
                resources: [
                  { name: GPU, nominalQuota: '8' },
                  { name, nominalQuota },
                ],
              },
            ],
          },
        ],
      },
    });
    const answer = (clusterQueues: SnapshotInput['clusterQueues'] & {}) =>
      fit(wish(1, 1, { queue: 'team-a' }), cluster({ nodes: eights(8), localQueues, clusterQueues }));
    expect(answer([queueWith('memory', '1Mi')])).toMatchObject({
      canEverFit: false,
      reason: 'queue-too-small',
      params: { resource: 'memory', most: 1 },
    });
    expect(answer([queueWith('cpu', '1000')])).toMatchObject({ fitsNow: true });
    expect(answer([])).toMatchObject({ canEverFit: true });
  });

  it('waits for nodes that the cluster adds when they are needed, within quotas', () => {
    const small = [nodeObject('a', { gpus: 1 })];
    expect(fit(wish(2, 8, { autoscaled: true }), cluster({ nodes: small }))).toMatchObject({
      canEverFit: true,
      fitsNow: false,
      reason: 'nodes-to-come',
    });
    const resourceQuotas = [{ metadata: { name: 'q' }, status: { hard: { [`requests.${GPU}`]: '4' } } }];
    expect(fit(wish(2, 8, { autoscaled: true }), cluster({ nodes: small, resourceQuotas })).canEverFit).toBe(false);
    expect(fit(wish(1, 1, { autoscaled: true }), cluster({ nodes: small })).fitsNow).toBe(true);
  });

  it('says which products a wished type stands for, and keeps to the products of a profile', () => {
    const nodes = [nodeObject('a'), nodeObject('b', { product: 'NVIDIA-A10', memoryMib: 24_564 })];
    expect(fit(wish(1, 1, { deviceType: 'h100' }), cluster({ nodes })).deviceProducts).toEqual([
      'NVIDIA-H100-80GB-HBM3',
    ]);
    const products = ['NVIDIA-A10'];
    expect(fit(wish(1, 1, { products }), cluster({ nodes })).fitsNow).toBe(true);
    expect(fit(wish(1, 1, { products, deviceType: 'h100' }), cluster({ nodes })).canEverFit).toBe(false);
  });

  it('finds a type by its words, never by a part of one', () => {
    expect(isOfType('NVIDIA-H100-80GB-HBM3', 'h100')).toBe(true);
    expect(isOfType('NVIDIA-H100-80GB-HBM3', 'H100 80GB')).toBe(true);
    expect(isOfType('NVIDIA-GeForce-RTX-4090', 'rtx4090')).toBe(true);
    expect(isOfType('NVIDIA-A100-SXM4-40GB', 'a10')).toBe(false);
    expect(isOfType(null, 'a10')).toBe(false);
    expect(isOfType('NVIDIA-A10', '--')).toBe(false);
  });
});

const stock = (most: number) =>
  fc.tuple(fc.nat(most), fc.nat(most)).map(([a, b]) => ({ total: Math.max(a, b), free: Math.min(a, b) }));
const node: fc.Arbitrary<SnapshotNode> = fc
  .record({
    devices: stock(4),
    cpu: stock(8),
    memoryMib: stock(8),
    pods: stock(4),
    ready: fc.boolean(),
    schedulable: fc.boolean(),
    memory: fc.constantFrom(null, 10, 20),
    sharing: fc.constantFrom('none' as const, 'mps' as const),
    tainted: fc.boolean(),
  })
  .map(({ devices, memory, tainted, ...rest }) => ({
    ...rest,
    name: 'n',
    computeMajor: null,
    devices: devices.total === 0 ? [] : [{ resource: GPU, product: 'NVIDIA-A10', memoryMib: memory, ...devices }],
    mig: 'none',
    taints: tainted ? [{ key: 'team', value: 'a', effect: 'NoSchedule' }] : [],
    labels: {},
  }));
const request: fc.Arbitrary<FitRequest> = fc
  .record({
    nodes: fc.integer({ min: 1, max: 4 }),
    devicesPerNode: fc.nat(4),
    deviceMemoryMib: fc.constantFrom(0, 15, 30),
    cpu: fc.integer({ min: 1, max: 4 }),
    memoryMib: fc.integer({ min: 1, max: 4 }),
    allowShared: fc.boolean(),
  })
  .map(({ allowShared, ...resources }) => ({ resources, allowShared, deviceResource: GPU }));
const snapshotOf = (nodes: readonly SnapshotNode[], quota: number | null): ClusterSnapshot => ({
  ...cluster({}),
  nodes,
  quotas: quota === null ? [] : [{ name: 'q', resource: `requests.${GPU}`, hard: quota, used: Math.floor(quota / 2) }],
});
const nodes = fc.array(node, { maxLength: 4 });
const quota = fc.option(fc.nat(12));

/** The same question answered by trying every way to place the pods one by one. */
function placedByTrying(asked: FitRequest, { nodes: all }: ClusterSnapshot, measure: 'total' | 'free'): boolean {
  const { nodes: pods, devicesPerNode, deviceMemoryMib, cpu, memoryMib } = asked.resources;
  const left = all
    .filter((n) => measure === 'total' || (n.ready && n.schedulable))
    .filter((n) => n.taints.length === 0)
    .filter((n) => devicesPerNode === 0 || (n.devices[0]?.memoryMib ?? 0) >= deviceMemoryMib)
    .filter((n) => devicesPerNode === 0 || (asked.allowShared && pods * devicesPerNode === 1) || n.sharing === 'none')
    .map((n) => [n.devices[0]?.[measure] ?? 0, n.cpu[measure], n.memoryMib[measure], n.pods[measure]]);
  const take = [devicesPerNode, cpu, memoryMib, 1];
  const place = (rest: number): boolean =>
    rest === 0 ||
    left.some((stocks) => {
      if (!stocks.every((have, i) => have >= (take[i] ?? 0))) return false;
      take.forEach((amount, i) => (stocks[i] = (stocks[i] ?? 0) - amount));
      const placed = place(rest - 1);
      take.forEach((amount, i) => (stocks[i] = (stocks[i] ?? 0) + amount));
      return placed;
    });
  return place(pods);
}

describe('fit: what always holds', () => {
  it('what fits now can ever fit, and only what cannot has another shape named, which then fits', () => {
    fc.assert(
      fc.property(nodes, quota, request, (all, hard, asked) => {
        const snapshot = snapshotOf(all, hard);
        const found = fit(asked, snapshot);
        expect(found.fitsNow && !found.canEverFit).toBe(false);
        expect(found.reason === 'fits').toBe(found.fitsNow);
        if (found.nearest) {
          expect(found.canEverFit).toBe(false);
          const changed = { ...asked, resources: { ...asked.resources, ...found.nearest } };
          expect(fit(changed, snapshot).canEverFit).toBe(true);
        }
      }),
    );
  });

  it('another node never makes an answer worse', () => {
    fc.assert(
      fc.property(nodes, node, quota, request, (all, added, hard, asked) => {
        const before = fit(asked, snapshotOf(all, hard));
        const after = fit(asked, snapshotOf([...all, added], hard));
        expect(before.canEverFit && !after.canEverFit).toBe(false);
        expect(before.fitsNow && !after.fitsNow).toBe(false);
      }),
    );
  });

  it('agrees with trying every placement', () => {
    fc.assert(
      fc.property(nodes, request, (all, asked) => {
        const snapshot = snapshotOf(all, null);
        const { canEverFit, fitsNow } = fit(asked, snapshot);
        expect({ canEverFit, fitsNow }).toEqual({
          canEverFit: placedByTrying(asked, snapshot, 'total'),
          fitsNow: placedByTrying(asked, snapshot, 'free'),
        });
      }),
      { numRuns: 500 },
    );
  });
});
