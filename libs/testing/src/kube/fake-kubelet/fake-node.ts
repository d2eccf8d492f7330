import type { KubeObject } from '../objects.js';

/** A machine as it registers itself, with the labels of GPU feature discovery (NVIDIA) or the node labeller (AMD). */
export interface FakeNode {
  name: string;
  /** 0: a machine without. @default 8 */
  gpus?: number;
  /** @default nvidia */
  vendor?: 'nvidia' | 'amd';
  /** @default NVIDIA-H100-80GB-HBM3, or AMD_Instinct_MI300X_OAM */
  product?: string;
  /** Of one GPU. @default 81559, or 196608 */
  gpuMemoryMib?: number;
  /** Compute capability of NVIDIA. @default 9.0 */
  compute?: string;
  /** `time-slicing` and `mps` offer each GPU `replicas` times. @default none */
  sharing?: 'none' | 'time-slicing' | 'mps';
  /** @default 1 */
  replicas?: number;
  /** Instances instead of whole GPUs (strategy "mixed"): `{ '1g.10gb': 7 }` */
  mig?: Readonly<Record<string, number>>;
  /** Whether only pods that tolerate the GPU may come. @default true */
  tainted?: boolean;
  /** @default 64 */
  cpus?: number;
  /** @default 512 */
  memoryGib?: number;
  /** Other resources, or other amounts of these. */
  allocatable?: Readonly<Record<string, string>>;
  labels?: Readonly<Record<string, string>>;
}

/** The object with which a kubelet registers. */
export const nodeObject = (node: FakeNode): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: {
    name: node.name,
    labels: {
      'kubernetes.io/hostname': node.name,
      'kubernetes.io/os': 'linux',
      'kubernetes.io/arch': 'amd64',
      ...gpuLabels(node),
      ...node.labels,
    },
  },
  spec: { taints: gpusOf(node) > 0 && node.tainted !== false ? [taintOf(node)] : [] },
});

const gpusOf = ({ gpus = 8 }: FakeNode): number => gpus;
const taintOf = ({ vendor = 'nvidia' }: FakeNode): object => ({
  key: `${vendor}.com/gpu`,
  value: 'present',
  effect: 'NoSchedule',
});

function gpuLabels(node: FakeNode): Record<string, string> {
  const { vendor = 'nvidia', sharing = 'none', replicas = 1, compute = '9.0', mig } = node;
  if (gpusOf(node) === 0) return {};
  if (vendor === 'amd') {
    return {
      'amd.com/gpu.product-name': node.product ?? 'AMD_Instinct_MI300X_OAM',
      'amd.com/gpu.vram': `${Math.round((node.gpuMemoryMib ?? 196_608) / 1024)}G`,
      'amd.com/gpu.family': 'AI',
    };
  }
  const product = node.product ?? 'NVIDIA-H100-80GB-HBM3';
  const [major = '', minor = ''] = compute.split('.');
  return {
    'nvidia.com/gpu.present': 'true',
    'nvidia.com/gpu.product': sharing === 'none' ? product : `${product}-SHARED`,
    'nvidia.com/gpu.memory': String(node.gpuMemoryMib ?? 81_559),
    'nvidia.com/gpu.count': String(gpusOf(node)),
    'nvidia.com/gpu.replicas': String(replicas),
    'nvidia.com/gpu.compute.major': major,
    'nvidia.com/gpu.compute.minor': minor,
    'nvidia.com/gpu.sharing-strategy': sharing,
    'nvidia.com/mig.capable': String(Number(major) >= 8),
    ...(mig && { 'nvidia.com/mig.strategy': 'mixed' }),
    ...Object.fromEntries(
      Object.entries(mig ?? {}).flatMap(([name, many]) => Object.entries(migLabels(name, many, product))),
    ),
  };
}

/** Of the instances of one profile: `1g.10gb` has a little less than 10 GiB. */
function migLabels(name: string, count: number, product: string): Record<string, string> {
  const kind = `nvidia.com/mig-${name}`;
  const gib = Number(/(\d+)gb/.exec(name)?.[1] ?? 0);
  return {
    [`${kind}.count`]: String(count),
    [`${kind}.product`]: `${product}-MIG-${name}`,
    [`${kind}.memory`]: String(Math.floor(gib * 1_024 * 0.95)),
  };
}

/** What the machine has, as device plugins and kubelet count it. */
export function resourcesOf(node: FakeNode): Record<string, string> {
  const { vendor = 'nvidia', replicas = 1, mig } = node;
  const whole = mig ? 0 : gpusOf(node) * replicas;
  return {
    cpu: String(node.cpus ?? 64),
    memory: `${node.memoryGib ?? 512}Gi`,
    'ephemeral-storage': '2Ti',
    pods: '110',
    ...(gpusOf(node) > 0 && { [`${vendor}.com/gpu`]: String(whole) }),
    ...Object.fromEntries(Object.entries(mig ?? {}).map(([name, many]) => [`nvidia.com/mig-${name}`, String(many)])),
    ...node.allocatable,
  };
}

/** Status of a healthy node; `logPort` is where the API server asks for logs. */
export function nodeStatus(
  node: FakeNode,
  allocatable: Readonly<Record<string, string>>,
  logPort: number,
): Record<string, unknown> {
  const now = new Date().toISOString();
  return {
    capacity: resourcesOf(node),
    allocatable,
    addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
    daemonEndpoints: { kubeletEndpoint: { Port: logPort } },
    nodeInfo: {
      ...{ kubeletVersion: 'v1.36.3', kubeProxyVersion: '', containerRuntimeVersion: 'fake://1', osImage: 'fake' },
      ...{ operatingSystem: 'linux', architecture: 'amd64', kernelVersion: '6.1' },
      ...{ machineID: node.name, systemUUID: node.name, bootID: node.name },
    },
    conditions: [
      { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'it is alive', lastHeartbeatTime: now },
      ...['MemoryPressure', 'DiskPressure', 'PIDPressure'].map((type) => ({
        ...{ type, status: 'False', lastHeartbeatTime: now },
      })),
    ],
  };
}
