import type { FitAnswer, FitReason } from '@luthier/contracts';
import type { ClusterSnapshot } from './cluster-snapshot.js';
import type { FitRequest } from './fit-request.js';

/** What stands in the way, with what its sentence is made of. */
export interface Obstacle {
  readonly reason: FitReason;
  readonly params: Readonly<Record<string, string | number>>;
}

interface Situation {
  readonly request: FitRequest;
  readonly snapshot: ClusterSnapshot;
  readonly nearest: FitAnswer['nearest'];
}

const MIB_PER_GB = 1_024;
const gigabytes = (mib: string | number | undefined): string => `${Math.round(Number(mib ?? 0) / MIB_PER_GB)} GB`;
const gpus = (count: string | number | undefined): string => `${count ?? 0} GPU${Number(count) === 1 ? '' : 's'}`;
const shortName = (product: string): string => product.replace(/^(NVIDIA|AMD)[-_ ]/i, '');

/** "2 nodes x 8 GPUs", "4 GPUs". */
const shape = (nodes: number, devices: number): string =>
  nodes === 1 ? gpus(devices) : `${nodes} nodes x ${gpus(devices)}`;

/** "A10 (24 GB) x4, H100-80GB-HBM3 (80 GB) x8". */
function availableDevices({ groups }: ClusterSnapshot): string {
  const names = groups
    .filter(({ total }) => total > 0)
    .map(({ product, deviceMemoryMib, total }) => {
      const memory = deviceMemoryMib === null ? '' : ` (${gigabytes(deviceMemoryMib)})`;
      return `${shortName(product)}${memory} x${total}`;
    });
  return names.join(', ');
}

/** Amounts of a quota in the words of its resource. */
function inWords(resource: string, value: string | number | undefined): string {
  const count = Number(value ?? 0);
  if (/memory$/.test(resource)) return gigabytes(count);
  if (/(^|\.)cpu$/.test(resource)) return `${count} CPU cores`;
  if (/gpu|mig-/.test(resource)) return gpus(count);
  return `${count} ${resource.replace(/^count\//, '')}`;
}

const nodesWith = (params: Obstacle['params'], what: string): string =>
  Number(params['nodes']) === 1 ? `a node with ${what}` : `${params['nodes']} nodes with ${what} each`;

const SENTENCES: Readonly<Record<FitReason, (params: Obstacle['params'], situation: Situation) => string>> = {
  fits: () => 'There is room for it now.',
  unknown: () => 'It is not known yet what there is to run on.',
  'no-nodes': () => 'The cluster has no node.',
  'no-devices': (_, { request, snapshot }) => {
    const others = availableDevices(snapshot);
    const there = others === '' ? '' : ` Available: ${others}.`;
    return `No node offers ${request.deviceResource}.${there}`;
  },
  'unknown-device-type': (p, { snapshot }) =>
    `No ${p['deviceType']} node in this cluster. Available: ${availableDevices(snapshot) || 'no GPUs'}.`,
  'device-memory-too-small': (p) =>
    p['largestMib'] === 0
      ? `The run needs a GPU with ${gigabytes(p['neededMib'])}; the nodes do not say how much theirs have.`
      : `The run needs a GPU with ${gigabytes(p['neededMib'])}; the largest here has ${gigabytes(p['largestMib'])}.`,
  'device-too-old': (p) =>
    `The run needs GPUs of compute capability ${p['needed']} or newer; the newest here have ${p['newest']}.`,
  'devices-shared': () =>
    'The GPUs here are shared between programs, without memory of their own; this run needs GPUs to itself.',
  'nodes-not-allowed': () =>
    'Every node that would do is closed to training runs by a taint or a label; ask the operator of the cluster.',
  'nodes-not-ready': () =>
    'Waiting for nodes: those that would do are away, closed for maintenance, or not started yet.',
  'nodes-to-come': () => 'Waiting for the cluster to add nodes that are large enough.',
  'node-too-small': (p) => `No node has ${gpus(p['devicesPerNode'])}; the largest has ${p['largest']}.`,
  'too-few-nodes': (p) =>
    `The run needs ${shape(Number(p['nodes']), Number(p['devicesPerNode']))}; the cluster has ${p['fitting']} such ${Number(p['fitting']) === 1 ? 'place' : 'places'}.`,
  'not-enough-cpu': (p) =>
    `The run needs ${nodesWith(p, `${p['needed']} CPU cores`)}; the largest that would do has ${p['most']}.`,
  'not-enough-memory': (p) =>
    `The run needs ${nodesWith(p, `${gigabytes(p['neededMib'])} of memory`)}; the largest that would do has ${gigabytes(p['mostMib'])}.`,
  'devices-busy': (p) => {
    if (Number(p['nodes']) > 1) {
      return `Waiting for GPUs: needs ${shape(Number(p['nodes']), Number(p['devicesPerNode']))}, ${p['fitting']} of ${p['nodes']} places free now.`;
    }
    const spread = p['sum'] === p['largest'] ? '' : `, at most ${p['largest']} of them together`;
    return `Waiting for GPUs: needs ${p['devicesPerNode']} on one node, ${p['sum']} free now${spread}.`;
  },
  'cpu-busy': (p) =>
    `Waiting for CPU: needs ${nodesWith(p, `${p['needed']} cores`)} free, at most ${p['most']} are now.`,
  'memory-busy': (p) =>
    `Waiting for memory: needs ${nodesWith(p, gigabytes(p['neededMib']))} free, at most ${gigabytes(p['mostMib'])} are now.`,
  'nodes-full': () => 'Waiting for a node that takes another pod: all that would do have as many as they may.',
  'quota-exceeded': (p) => {
    const words = (key: string): string => inWords(String(p['resource']), p[key]);
    return `Quota "${p['quota']}": ${words('hard')}, ${p['used'] === 0 ? 'none' : words('used')} used, this run needs ${words('needed')}.`;
  },
  'limit-exceeded': (p) =>
    `Limit "${p['limit']}": one pod may have ${inWords(String(p['resource']), p['max'])}, this run needs ${inWords(String(p['resource']), p['needed'])}.`,
  'unknown-queue': (p, { snapshot }) =>
    snapshot.queues === null
      ? `Queue '${p['queue']}' does not exist: the cluster has no queueing system.`
      : `Queue '${p['queue']}' does not exist in namespace ${p['namespace']}; there is ${p['known'] === '' ? 'none' : p['known']}.`,
  'queue-inactive': (p) => `Queue '${p['queue']}' is stopped and admits nothing now.`,
  'queue-too-small': (p) => {
    const words = (key: string): string => inWords(String(p['resource']), p[key]);
    return `Queue ${p['clusterQueue']} has at most ${words('most')}; this run asks for ${words('needed')}.`;
  },
  'queue-busy': (p) => {
    const words = (key: string): string => inWords(String(p['resource']), p[key]);
    return `In queue ${p['queue']}: needs ${words('needed')}, ${words('most')} not reserved now.`;
  },
};

function advice({ request, snapshot, nearest }: Situation): string {
  if (!nearest) return '';
  const type = nearest.deviceType === null && request.deviceType !== undefined ? ' of another type' : '';
  const queue = request.queue !== undefined && snapshot.queues === null ? ', without a queue' : '';
  return ` Use ${shape(nearest.nodes, nearest.devicesPerNode)}${type}${queue}.`;
}

/** In simple words, with what would fit where that is known. */
export const sentenceOf = (obstacle: Obstacle, situation: Situation): string =>
  SENTENCES[obstacle.reason](obstacle.params, situation) + advice(situation);
