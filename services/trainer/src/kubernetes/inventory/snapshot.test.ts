import { describe, expect, it } from '@jest/globals';
import { nodeObject, podObject } from '../../testing/cluster-objects.js';
import { podRequests } from './pod-requests.js';
import { quantity } from './quantity.js';
import { takeSnapshot } from './snapshot.js';

const namespace = 'luthier-training';

describe('quantity', () => {
  it.each([
    ['2', 2],
    ['1500m', 1.5],
    ['64Gi', 64 * 2 ** 30],
    ['1.5G', 1.5e9],
    ['2e3', 2_000],
    ['128974848', 128_974_848],
    ['.5', 0.5],
    ['', 0],
    ['many', 0],
    ['5XB', 0],
  ])('reads %s', (text, value) => expect(quantity(text)).toBeCloseTo(value, 9));
});

describe('podRequests', () => {
  it('counts side cars with the containers, start-up by its largest moment, and overhead', () => {
    const pod = {
      spec: {
        overhead: { memory: '64Mi' },
        initContainers: [
          { restartPolicy: 'Always', resources: { requests: { cpu: '1' } } },
          { resources: { requests: { cpu: '9', memory: '1Gi' } } },
        ],
        containers: [
          { resources: { requests: { cpu: '2', memory: '4Gi' }, limits: { 'nvidia.com/gpu': '2' } } },
          { resources: { requests: { cpu: '500m' } } },
        ],
      },
    };
    expect(podRequests(pod)).toEqual({ cpu: 10, memory: 4 * 1_024 + 64, 'nvidia.com/gpu': 2 });
  });
});

describe('takeSnapshot', () => {
  it('subtracts what placed pods ask for, not what waits or is over', () => {
    const { nodes } = takeSnapshot({
      namespace,
      nodes: [nodeObject('gpu-1')],
      pods: [
        podObject('a', { 'nvidia.com/gpu': '3', cpu: '4', memory: '32Gi' }, { node: 'gpu-1' }),
        podObject('waits', { 'nvidia.com/gpu': '8' }, { phase: 'Pending' }),
        podObject('over', { 'nvidia.com/gpu': '8' }, { node: 'gpu-1', phase: 'Succeeded' }),
        podObject('elsewhere', { 'nvidia.com/gpu': '8' }, { node: 'gone' }),
      ],
    });
    expect(nodes[0]).toMatchObject({
      name: 'gpu-1',
      ready: true,
      schedulable: true,
      computeMajor: 9,
      devices: [{ resource: 'nvidia.com/gpu', product: 'NVIDIA-H100-80GB-HBM3', memoryMib: 81_559, total: 8, free: 5 }],
      cpu: { total: 64, free: 60 },
      memoryMib: { total: 512 * 1_024, free: 480 * 1_024 },
    });
  });

  it('does not offer what daemons take for ever', () => {
    const { nodes } = takeSnapshot({
      namespace,
      nodes: [nodeObject('gpu-1')],
      pods: [podObject('agent', { cpu: '2' }, { node: 'gpu-1', owner: 'DaemonSet' })],
    });
    expect(nodes[0]?.cpu).toEqual({ total: 62, free: 62 });
  });

  it('never has less than nothing free when devices of a node are lost under its pods', () => {
    const { nodes } = takeSnapshot({
      namespace,
      nodes: [nodeObject('gpu-1', { gpus: 7 })],
      pods: [podObject('a', { 'nvidia.com/gpu': '8' }, { node: 'gpu-1' })],
    });
    expect(nodes[0]?.devices[0]).toMatchObject({ total: 7, free: 0 });
  });

  it('counts a run only when none of its pods still waits for a node', () => {
    const { countedRuns } = takeSnapshot({
      namespace,
      nodes: [nodeObject('gpu-1')],
      pods: [
        podObject('a-0', { 'nvidia.com/gpu': '1' }, { node: 'gpu-1', runId: 'run-a' }),
        podObject('b-0', { 'nvidia.com/gpu': '1' }, { node: 'gpu-1', runId: 'run-b' }),
        podObject('b-1', { 'nvidia.com/gpu': '1' }, { runId: 'run-b', phase: 'Pending' }),
        podObject('c-0', { 'nvidia.com/gpu': '1' }, { node: 'gpu-1', runId: 'run-c', phase: 'Failed' }),
      ],
    });
    expect(countedRuns).toEqual(['run-a']);
  });

  it('knows parts of devices with their own memory, and devices that are shared', () => {
    const { nodes, groups } = takeSnapshot({
      namespace,
      nodes: [
        nodeObject('mig-1', {
          product: 'NVIDIA-A100-SXM4-40GB',
          memoryMib: 40_960,
          labels: { 'nvidia.com/mig.strategy': 'mixed', 'nvidia.com/mig-1g.5gb.memory': '4864' },
          allocatable: { 'nvidia.com/gpu': '4', 'nvidia.com/mig-1g.5gb': '7', 'nvidia.com/mig-2g.10gb': '3' },
        }),
        nodeObject('shared-1', {
          product: 'NVIDIA-A10-SHARED',
          memoryMib: 24_564,
          labels: { 'nvidia.com/gpu.sharing-strategy': 'time-slicing', 'nvidia.com/gpu.replicas': '4' },
        }),
      ],
      pods: [],
    });
    expect(nodes[0]).toMatchObject({
      mig: 'mixed',
      sharing: 'none',
      devices: [
        { resource: 'nvidia.com/gpu', memoryMib: 40_960, total: 4 },
        { resource: 'nvidia.com/mig-1g.5gb', memoryMib: 4_864, total: 7 },
        { resource: 'nvidia.com/mig-2g.10gb', memoryMib: 9_728, total: 3 },
      ],
    });
    expect(nodes[1]).toMatchObject({ sharing: 'time-slicing' });
    expect(groups.map(({ resource, total }) => [resource, total])).toEqual([
      ['nvidia.com/gpu', 4],
      ['nvidia.com/gpu', 8],
      ['nvidia.com/mig-2g.10gb', 3],
      ['nvidia.com/mig-1g.5gb', 7],
    ]);
  });

  it('reads AMD devices by their own labels', () => {
    const { nodes } = takeSnapshot({
      namespace,
      nodes: [
        nodeObject('amd-1', {
          gpus: 0,
          labels: { 'amd.com/gpu.product-name': 'AMD_Instinct_MI300X', 'amd.com/gpu.vram': '192G' },
          allocatable: { 'amd.com/gpu': '8' },
        }),
      ],
      pods: [],
    });
    expect(nodes[0]?.devices).toEqual([
      { resource: 'amd.com/gpu', product: 'AMD_Instinct_MI300X', memoryMib: 196_608, total: 8, free: 8 },
    ]);
  });

  it('offers nothing of a node that is away or cordoned, and marks a node with a condition as closed', () => {
    const { nodes, groups } = takeSnapshot({
      namespace,
      nodes: [
        nodeObject('away', { ready: false }),
        nodeObject('cordoned', { cordoned: true }),
        nodeObject('full-disk', { taints: [{ key: 'node.kubernetes.io/disk-pressure', effect: 'NoSchedule' }] }),
        nodeObject('team', { taints: [{ key: 'team', value: 'a', effect: 'NoSchedule' }] }),
      ],
      pods: [],
    });
    expect(nodes.map(({ ready, schedulable }) => [ready, schedulable])).toEqual([
      [false, true],
      [true, false],
      [true, false],
      [true, true],
    ]);
    expect(groups).toEqual([
      expect.objectContaining({ nodes: 4, total: 32, free: 8, largestNode: 8, deviceMemoryMib: 81_559 }),
    ]);
  });

  const slice = (generation: number, devices: string[]) => ({
    spec: {
      driver: 'gpu.nvidia.com',
      nodeName: 'dra-1',
      pool: { name: 'dra-1', generation },
      devices: devices.map((name) => ({
        name,
        attributes: {
          type: { string: name.includes('mig') ? 'mig' : 'gpu' },
          productName: { string: 'NVIDIA H100 80GB HBM3' },
          cudaComputeCapability: { version: '9.0.0' },
        },
        capacity: { memory: { value: '81559Mi' } },
      })),
    },
  });

  it('reads devices that are handed out by claims: newest generation, whole devices, those given away taken', () => {
    const input = {
      namespace,
      nodes: [nodeObject('dra-1', { gpus: 0 })],
      pods: [podObject('a', { 'nvidia.com/gpu': '2' }, { node: 'dra-1' })],
      resourceSlices: [slice(1, ['old']), slice(2, ['gpu-0', 'gpu-1', 'gpu-2', 'gpu-3', 'gpu-0-mig-1g-0'])],
    };
    const claim = {
      status: { allocation: { devices: { results: [{ driver: 'gpu.nvidia.com', pool: 'dra-1', device: 'gpu-3' }] } } },
    };
    expect(takeSnapshot(input).nodes[0]).toMatchObject({
      computeMajor: 9,
      devices: [{ resource: 'nvidia.com/gpu', product: 'NVIDIA H100 80GB HBM3', memoryMib: 81_559, total: 4, free: 2 }],
    });
    expect(takeSnapshot({ ...input, resourceClaims: [claim] }).nodes[0]?.devices[0]).toMatchObject({
      total: 4,
      free: 3,
    });
  });

  it('keeps quotas for all pods of the namespace, in MiB and cores, and no others', () => {
    const quota = (name: string, spec: object, ns = namespace) => ({
      metadata: { name, namespace: ns },
      spec,
      status: {
        hard: { 'requests.nvidia.com/gpu': '2', 'limits.memory': '1Gi' },
        used: { 'requests.nvidia.com/gpu': '1' },
      },
    });
    const { quotas, limits } = takeSnapshot({
      namespace,
      nodes: [],
      pods: [],
      resourceQuotas: [
        quota('team', {}),
        quota('idle', { scopes: ['BestEffort'] }),
        quota('urgent', { scopeSelector: { matchExpressions: [] } }),
        quota('other', {}, 'default'),
      ],
      limitRanges: [
        {
          metadata: { name: 'size', namespace },
          spec: {
            limits: [
              { type: 'Container', max: { memory: '64Gi' } },
              { type: 'PersistentVolumeClaim', max: { storage: '1Gi' } },
            ],
          },
        },
      ],
    });
    expect(quotas).toEqual([
      { name: 'team', resource: 'requests.nvidia.com/gpu', hard: 2, used: 1 },
      { name: 'team', resource: 'limits.memory', hard: 1_024, used: 0 },
    ]);
    expect(limits).toEqual([{ name: 'size', resource: 'memory', max: 65_536 }]);
  });

  it('reads queues with what stands behind them, in both versions of their API', () => {
    const local = (name: string, clusterQueue: string) => ({
      metadata: { name, namespace },
      spec: { clusterQueue },
      status: { pendingWorkloads: 2, admittedWorkloads: 1 },
    });
    const cluster = (name: string, spec: object, borrowingLimit?: string) => ({
      metadata: { name },
      spec: {
        ...spec,
        resourceGroups: [
          {
            flavors: [
              {
                name: 'h100',
                resources: [{ name: 'nvidia.com/gpu', nominalQuota: '8', ...(borrowingLimit && { borrowingLimit }) }],
              },
            ],
          },
        ],
      },
      status: { flavorsReservation: [{ name: 'h100', resources: [{ name: 'nvidia.com/gpu', total: '5' }] }] },
    });
    const { queues } = takeSnapshot({
      namespace,
      nodes: [],
      pods: [],
      localQueues: [local('a', 'own'), local('b', 'shared'), local('c', 'lent'), local('d', 'stopped')],
      clusterQueues: [
        cluster('own', {}),
        cluster('shared', { cohort: 'all' }),
        cluster('lent', { cohortName: 'all' }, '4'),
        cluster('stopped', { stopPolicy: 'Hold' }),
      ],
    });
    expect(queues?.map(({ name, active, limits }) => [name, active, limits[0]?.most, limits[0]?.used])).toEqual([
      ['a', true, 8, 5],
      ['b', true, null, 5],
      ['c', true, 12, 5],
      ['d', false, 8, 5],
    ]);
    expect(queues?.[0]).toMatchObject({ pending: 2, admitted: 1, clusterQueue: 'own' });
    expect(takeSnapshot({ namespace, nodes: [], pods: [] }).queues).toBeNull();
  });
});
