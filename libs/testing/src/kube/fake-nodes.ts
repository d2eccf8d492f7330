import type { KubeApi } from './kube-api.js';

/** A machine as GPU feature discovery labels it. */
export interface FakeNode {
  name: string;
  /** @default 8 */
  gpus?: number;
  /** @default 'NVIDIA-H100-80GB-HBM3' */
  product?: string;
  /** Of one GPU. @default 81559 */
  gpuMemoryMib?: number;
  /** Of other resources, such as `nvidia.com/mig-1g.10gb`. */
  allocatable?: Record<string, string>;
  labels?: Record<string, string>;
}

/** Registers a node that is ready; its GPUs are tainted as operators do it. */
export async function registerNode(api: KubeApi, node: FakeNode): Promise<void> {
  const { name, gpus = 8, product = 'NVIDIA-H100-80GB-HBM3', gpuMemoryMib = 81_559, labels = {} } = node;
  const gpuLabels = {
    'nvidia.com/gpu.product': product,
    'nvidia.com/gpu.memory': String(gpuMemoryMib),
    'nvidia.com/gpu.count': String(gpus),
    'nvidia.com/gpu.compute.major': '9',
    'nvidia.com/gpu.sharing-strategy': 'none',
  };
  await api.post('/api/v1/nodes', {
    metadata: { name, labels: { 'kubernetes.io/hostname': name, ...(gpus > 0 && gpuLabels), ...labels } },
    spec: { taints: gpus > 0 ? [{ key: 'nvidia.com/gpu', value: 'present', effect: 'NoSchedule' }] : [] },
  });
  const allocatable = {
    ...{ cpu: '64', memory: '512Gi', pods: '110', 'ephemeral-storage': '2Ti' },
    ...(gpus > 0 && { 'nvidia.com/gpu': String(gpus) }),
    ...node.allocatable,
  };
  await api.mergePatch(`/api/v1/nodes/${name}/status`, {
    status: {
      ...{ capacity: allocatable, allocatable, addresses: [{ type: 'InternalIP', address: '127.0.0.1' }] },
      conditions: [readyCondition()],
    },
  });
}

/** Without it the control plane finds the node silent after its grace. */
export async function beat(api: KubeApi, name: string): Promise<void> {
  await api.mergePatch(`/api/v1/nodes/${name}/status`, { status: { conditions: [readyCondition()] } });
}

const readyCondition = (): object => {
  const now = new Date().toISOString();
  return { type: 'Ready', status: 'True', reason: 'KubeletReady', lastHeartbeatTime: now, lastTransitionTime: now };
};
