import { describe, expect, it } from '@jest/globals';
import { clusterReport, inventory } from '@luthier/contracts';
import { warn } from '../../inventory/findings.js';
import { nodeObject, podObject } from '../../testing/cluster-objects.js';
import { cpuProfile, gpuProfile } from '../../testing/cluster-profiles.js';
import { ClusterInventory } from './cluster-inventory.js';
import type { SnapshotInput } from './snapshot.js';

const gpu = gpuProfile();
const cpu = cpuProfile();

const clusterOf = (over: Partial<SnapshotInput>, known: readonly string[] = ['nodes', 'queues']) =>
  new ClusterInventory([gpu, cpu], {
    input: () => ({ namespace: 'runs', nodes: [], pods: [], ...over }),
    knows: (what) => known.includes(what),
    watches: () => [
      { name: 'nodes', connected: true, lastSyncAgeMs: 5 },
      { name: 'pods', connected: false, lastSyncAgeMs: 90_000 },
    ],
    check: () => Promise.resolve([warn('clock', 'clock-untold', {})]),
  });
const read = async (over: Partial<SnapshotInput>) => inventory.parse(await clusterOf(over).read());

describe('what a cluster offers', () => {
  it('is the memory of the largest device, and of a pod on the CPU', async () => {
    const { profiles } = await read({ nodes: [nodeObject('gpu-1'), nodeObject('cpu-1', { gpus: 0 })] });
    expect(profiles).toMatchObject([
      {
        name: 'gpu',
        device: 'NVIDIA-H100-80GB-HBM3',
        devices: 1,
        memoryMib: 81_559,
        freeMemoryMib: 81_559,
        hostMemoryMib: 65_536,
      },
      { name: 'cpu', device: 'CPU', devices: 0, memoryMib: 8_192, freeMemoryMib: 8_192 },
    ]);
  });

  it('has nothing free while no node has room, and still says what there is', async () => {
    const { profiles } = await read({ nodes: [nodeObject('gpu-1', { cordoned: true })] });
    expect(profiles[0]).toMatchObject({ memoryMib: 81_559, freeMemoryMib: 0 });
  });

  it('calls nothing impossible where no device is there yet', async () => {
    const { profiles } = await read({ nodes: [nodeObject('cpu-1', { gpus: 0 })] });
    expect(profiles[0]).toMatchObject({ memoryMib: 65_536, freeMemoryMib: 0 });
  });

  it('counts devices, and says why nothing can start', async () => {
    const { profiles, countedRuns } = await read({
      nodes: [nodeObject('gpu-1'), nodeObject('gpu-2', { gpus: 4 })],
      pods: [
        podObject('a', { 'nvidia.com/gpu': '8' }, { node: 'gpu-1', runId: 'run-a' }),
        podObject('b', { 'nvidia.com/gpu': '4' }, { node: 'gpu-2' }),
      ],
    });
    expect(profiles[0]).toMatchObject({ freeDevices: 0, maxDevicesPerNode: 8, nodes: 2 });
    expect(profiles[0]?.why).toBe('Waiting for GPUs: needs 1 on one node, 0 free now.');
    expect(profiles[1]?.why).toBeUndefined();
    expect(countedRuns).toEqual(['run-a']);
  });

  it('answers for each profile that is named and there', async () => {
    const answers = await clusterOf({ nodes: [nodeObject('gpu-1')] }).fitRun({
      ...{ profiles: ['gpu', 'cpu', 'gone'], nodes: 1, devicesPerNode: 16, deviceMemoryMib: 0 },
      ...{ deviceType: null, queue: null },
    });
    expect(answers.map(({ profile, fit }) => [profile, fit.reason])).toEqual([
      ['gpu', 'node-too-small'],
      ['cpu', 'cpu-only'],
    ]);
  });

  it('places a run on the processors of several nodes where that is asked for', async () => {
    const cluster = clusterOf({ nodes: [nodeObject('one'), nodeObject('two')] });
    const ask = async (nodes: number, devicesPerNode: number | null) =>
      (
        await cluster.fitRun({
          ...{ profiles: ['cpu'], nodes, devicesPerNode, deviceMemoryMib: 0, deviceType: null, queue: null },
        })
      )[0]?.fit;
    expect(await ask(2, 0)).toMatchObject({ fitsNow: true });
    expect(await ask(2, null)).toMatchObject({ reason: 'cpu-only' });
    expect(await ask(200, 0)).toMatchObject({ canEverFit: false });
  });

  it('answers as if nodes were not there that a run is to leave', async () => {
    const cluster = clusterOf({ nodes: [nodeObject('gpu-1'), nodeObject('gpu-2', { gpus: 4 })] });
    const ask = async (devicesPerNode: number, withoutNodes: string[]) =>
      (
        await cluster.fitRun({
          ...{ profiles: ['gpu'], nodes: 1, devicesPerNode, deviceMemoryMib: 0, deviceType: null, queue: null },
          withoutNodes,
        })
      )[0]?.fit;
    expect(await ask(8, ['gpu-2'])).toMatchObject({ canEverFit: true });
    expect(await ask(4, ['gpu-1'])).toMatchObject({ canEverFit: true });
    expect(await ask(8, ['gpu-1'])).toMatchObject({ canEverFit: false, reason: 'node-too-small' });
  });

  it('calls nothing impossible before the watches have told what there is', async () => {
    const shape = { nodes: 1, devicesPerNode: 16, deviceMemoryMib: 0, deviceType: null, queue: null };
    const ask = async (known: readonly string[], queue: string | null) =>
      (await clusterOf({}, known).fitRun({ ...shape, queue, profiles: ['gpu'] }))[0]?.fit;
    expect(await ask([], null)).toMatchObject({ canEverFit: true, fitsNow: false, reason: 'unknown' });
    expect(await ask(['nodes'], null)).toMatchObject({ canEverFit: false });
    expect(await ask(['nodes'], 'team-a')).toMatchObject({ canEverFit: true, reason: 'unknown' });
    expect(await ask(['nodes', 'queues'], 'team-a')).toMatchObject({ canEverFit: false, reason: 'no-queueing' });
  });

  it("tolerates the taint of its own devices and no other vendor's", async () => {
    const tainted = (key: string) => nodeObject('n', { taints: [{ key, value: 'present', effect: 'NoSchedule' }] });
    expect((await read({ nodes: [tainted('nvidia.com/gpu')] })).profiles[0]?.freeMemoryMib).toBe(81_559);
    expect((await read({ nodes: [tainted('amd.com/gpu')] })).profiles[0]?.freeMemoryMib).toBe(0);
  });

  it('shows an operator nodes, devices and watches, without labels', async () => {
    const report = await clusterOf({ nodes: [nodeObject('gpu-1')] }).report();
    expect(clusterReport.parse(report)).toEqual(report);
    expect(report.message).toBe(
      'Runs are Kubernetes Jobs. 1 node, 8 GPUs, 8 of them free. 1 of its watches is not connected: this may be old.',
    );
    expect(report.nodes[0]).not.toHaveProperty('labels');
    expect(await clusterOf({}).check()).toMatchObject({ executor: 'kubernetes', ok: true });
  });
});
