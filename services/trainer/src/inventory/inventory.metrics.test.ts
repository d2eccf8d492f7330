import { describe, expect, it } from '@jest/globals';
import { ServiceMetrics } from '@luthier/service-kit';
import { ClusterInventory } from '../kubernetes/inventory/cluster-inventory.js';
import { InventoryMetrics } from './inventory.metrics.js';

const node = {
  metadata: { name: 'gpu-1', labels: { 'nvidia.com/gpu.product': 'NVIDIA-H100-80GB-HBM3' } },
  status: {
    allocatable: { 'nvidia.com/gpu': '8', cpu: '64', memory: '512Gi' },
    conditions: [{ type: 'Ready', status: 'True' }],
  },
};
const pod = {
  metadata: { name: 'taken', namespace: 'elsewhere' },
  spec: { nodeName: 'gpu-1', containers: [{ resources: { limits: { 'nvidia.com/gpu': '3' } } }] },
  status: { phase: 'Running' },
};

async function told(input: () => { namespace: string; nodes: (typeof node)[]; pods: (typeof pod)[] }): Promise<string> {
  const metrics = new ServiceMetrics('trainer');
  const parts = { input, knows: () => true, watches: () => [], check: () => Promise.resolve([]) };
  const tellers = new InventoryMetrics(metrics, new ClusterInventory([], parts));
  expect(tellers).toBeDefined();
  return metrics.registry.metrics();
}

describe('the metrics of what there is to run on', () => {
  it('count devices by kind, and those that nobody has taken', async () => {
    const text = await told(() => ({ namespace: 'tune', nodes: [node], pods: [pod] }));
    const labels = 'product="NVIDIA-H100-80GB-HBM3",resource="nvidia.com/gpu"';
    expect(text).toContain(`luthier_trainer_devices{${labels},state="total",service="trainer"} 8`);
    expect(text).toContain(`luthier_trainer_devices{${labels},state="free",service="trainer"} 5`);
    expect(text).toContain(
      `luthier_trainer_node_memory_bytes{node="gpu-1",state="total",service="trainer"} ${512 * 2 ** 30}`,
    );
  });

  it('leave out what cannot be read, and tell everything else', async () => {
    const text = await told(() => {
      throw new Error('not listed yet');
    });
    expect(text).toContain('luthier_service_start_time_seconds');
    expect(text).not.toMatch(/^luthier_trainer_/m);
  });
});
