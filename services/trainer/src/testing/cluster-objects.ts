import type { NodeObject, PodObject } from '../kubernetes/inventory/kube-objects.js';

interface NodeWish {
  gpus?: number;
  product?: string;
  memoryMib?: number;
  cpu?: string;
  memory?: string;
  ready?: boolean;
  cordoned?: boolean;
  labels?: Record<string, string>;
  allocatable?: Record<string, string>;
  taints?: { key: string; value?: string; effect: string }[];
}

/** A node as GPU feature discovery labels it: 8 H100 unless said otherwise. */
export function nodeObject(name: string, wish: NodeWish = {}): NodeObject {
  const { gpus = 8, product = 'NVIDIA-H100-80GB-HBM3', memoryMib = 81_559, cpu = '64', memory = '512Gi' } = wish;
  return {
    metadata: {
      name,
      labels: {
        ...(gpus > 0 && {
          'nvidia.com/gpu.product': product,
          'nvidia.com/gpu.memory': String(memoryMib),
          'nvidia.com/gpu.compute.major': '9',
          'nvidia.com/gpu.sharing-strategy': 'none',
        }),
        ...wish.labels,
      },
    },
    spec: { ...(wish.cordoned === true && { unschedulable: true }), ...(wish.taints && { taints: wish.taints }) },
    status: {
      allocatable: {
        cpu,
        memory,
        pods: '110',
        ...(gpus > 0 && { 'nvidia.com/gpu': String(gpus) }),
        ...wish.allocatable,
      },
      conditions: [{ type: 'Ready', status: wish.ready === false ? 'Unknown' : 'True' }],
    },
  };
}

/** A pod that asks for what is given; without a node it waits. */
export const podObject = (
  name: string,
  requests: Record<string, string>,
  { node, runId, phase = 'Running', owner }: { node?: string; runId?: string; phase?: string; owner?: string } = {},
): PodObject => ({
  metadata: {
    name,
    namespace: 'luthier-training',
    ...(runId !== undefined && { labels: { 'luthier.dev/run-id': runId } }),
    ...(owner !== undefined && { ownerReferences: [{ kind: owner }] }),
  },
  spec: { ...(node !== undefined && { nodeName: node }), containers: [{ resources: { requests } }] },
  status: { phase },
});
