import type { Schemas, paths } from '@luthier/api-client';

type Answer<Path extends '/api/v1/cluster' | '/api/v1/cluster/doctor'> =
  paths[Path]['get']['responses'][200]['content']['application/json'];
type Cluster = Answer<'/api/v1/cluster'>;

const OBSERVED_AT = '2026-11-20T08:00:00.000Z';
const gpuNode = (name: string, free: number): Cluster['nodes'][number] => ({
  name,
  ready: true,
  schedulable: true,
  compute_major: 9,
  devices: [{ resource: 'nvidia.com/gpu', product: 'NVIDIA-H100-80GB-HBM3', memory_mib: 81_559, total: 8, free }],
  mig: 'none',
  sharing: 'none',
  taints: [{ key: 'nvidia.com/gpu', value: 'present', effect: 'NoSchedule' }],
  cpu: { total: 192, free: 150.5 },
  memory_mib: { total: 2_097_152, free: 1_572_864 },
});

/** A small team's cluster, with one thing wrong of each kind. */
export const cluster: Cluster = {
  executor: 'kubernetes',
  message: 'Runs are Kubernetes Jobs.',
  observed_at: OBSERVED_AT,
  namespace: 'luthier-training',
  nodes: [
    gpuNode('gpu-1', 3),
    { ...gpuNode('gpu-2', 8), schedulable: false },
    { ...gpuNode('gpu-3-with-a-name-as-long-as-clouds-give-them.eu-central.example', 0), ready: false },
    { ...gpuNode('cpu-1', 0), devices: [], taints: [], compute_major: null },
  ],
  groups: [
    {
      product: 'NVIDIA-H100-80GB-HBM3',
      resource: 'nvidia.com/gpu',
      device_memory_mib: 81_559,
      nodes: 3,
      total: 24,
      free: 11,
      largest_node: 8,
    },
  ],
  quotas: [{ name: 'team', resource: 'requests.nvidia.com/gpu', hard: 16, used: 5 }],
  queues: [
    {
      name: 'research',
      cluster_queue: 'gpus',
      active: true,
      pending: 2,
      admitted: 1,
      limits: [{ flavor: 'h100', resource: 'nvidia.com/gpu', most: 16, used: 5 }],
    },
  ],
  watches: [
    { name: 'nodes', connected: true, last_sync_age_ms: 400 },
    { name: 'workloads', connected: false, last_sync_age_ms: 92_000 },
  ],
};

export const noCluster: Cluster = {
  executor: 'process',
  message: 'Runs are processes on this machine.',
  observed_at: OBSERVED_AT,
  namespace: null,
  nodes: [],
  groups: [],
  quotas: [],
  queues: null,
  watches: [],
};

/** What a run waits for while the cluster is full. */
export const busy: { message: string; obstacle: Schemas['Obstacle'] } = {
  message: 'Waiting for GPUs: needs 1 on one node, 0 free now.',
  obstacle: {
    reason: 'devices-busy',
    params: { nodes: 1, devicesPerNode: 1, fitting: 0, free: 0, together: '' },
    nearest: null,
  },
};

/** Why a run is refused. */
export const tooLarge: typeof busy = {
  message: 'No node has 16 GPUs; the largest has 8. Use 2 nodes x 8 GPUs.',
  obstacle: {
    reason: 'node-too-small',
    params: { devicesPerNode: 16, largest: 8 },
    nearest: { nodes: 2, devices_per_node: 8, device_type: null, other_type: false, without_queue: false },
  },
};

export const findings: Answer<'/api/v1/cluster/doctor'> = {
  executor: 'kubernetes',
  ok: false,
  checks: [
    {
      ...{ topic: 'api', profile: null, id: 'api-answers', state: 'ok', params: { kinds: 84 }, obstacle: null },
      ...{ check: 'api', message: "The cluster's API answers and serves 84 kinds.", fix: null },
    },
    {
      ...{ topic: 'pull-secret', profile: null, id: 'pull-secret-missing', state: 'fail', obstacle: null },
      params: { name: 'regcred', namespace: 'luthier-training' },
      check: 'image pull secret',
      message: 'regcred does not exist in namespace luthier-training.',
      fix: 'Create it: kubectl -n luthier-training create secret docker-registry regcred ...',
    },
    {
      ...{ topic: 'place', profile: 'gpu', id: 'place-later', state: 'warn', params: {}, ...busy },
      check: 'a place for gpu',
      fix: 'Nothing to do when the cluster is busy: runs wait.',
    },
    {
      ...{ topic: 'clock', profile: null, id: 'clocks-differ', state: 'warn', params: { seconds: 7 }, obstacle: null },
      check: 'clock',
      message: 'This machine and the API server differ by 7 seconds.',
      fix: 'Let both follow a time server (NTP): leases and tokens depend on it.',
    },
  ],
};
