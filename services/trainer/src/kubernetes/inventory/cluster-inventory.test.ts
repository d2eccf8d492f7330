import { describe, expect, it } from '@jest/globals';
import { inventory } from '@luthier/contracts';
import { nodeObject } from '../../testing/cluster-objects.js';
import { clusterProfile } from '../cluster-profile.js';
import { ClusterInventory } from './cluster-inventory.js';
import type { SnapshotInput } from './snapshot.js';

const base = {
  ...{ runtime: 'runtime-torch', image: `x.test/y@sha256:${'a'.repeat(64)}`, command: ['r'], runtimeCommand: ['t'] },
  capabilities: {
    ...{ runtime: 'runtime-torch', version: '1', modes: [], architectures: [], methods: [], tunings: [] },
    ...{ precisions: [], engines: [] },
  },
};
const gpu = clusterProfile.parse({
  ...base,
  ...{ name: 'gpu', deviceResource: 'nvidia.com/gpu', cpus: 8, memoryMib: 65_536, scratchMib: 1_000 },
});
const cpu = clusterProfile.parse({ ...base, name: 'cpu', cpus: 4, memoryMib: 8_192 });

const read = async (over: Partial<SnapshotInput>) =>
  inventory.parse(
    await new ClusterInventory([gpu, cpu], () => ({ namespace: 'runs', nodes: [], pods: [], ...over })).read(),
  );

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
});
