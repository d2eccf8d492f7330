import type { FitAnswer, FitParams, FitReason, Obstacle } from '@luthier/contracts';

type Value = string | number;
const MIB_PER_GB = 1_024;
export const gigabytes = (mib: Value): string => `${Math.round(Number(mib) / MIB_PER_GB)} GB`;
const gpus = (count: Value): string => `${count} GPU${Number(count) === 1 ? '' : 's'}`;

/** "2 nodes x 8 GPUs", "4 GPUs". */
const shape = (nodes: Value, devices: Value): string =>
  Number(nodes) === 1 ? gpus(devices) : `${nodes} nodes x ${gpus(devices)}`;

/** An amount of a quota in the words of its resource. */
function amount(resource: Value, value: Value): string {
  const name = String(resource).replace(/^(?:requests\.|limits\.|count\/)/, '');
  if (name === 'memory') return gigabytes(value);
  if (name === 'cpu') return `${value} CPU cores`;
  return /gpu|mig-/i.test(name) ? gpus(value) : `${value} ${name}`;
}

const nodesWith = (nodes: Value, what: string): string =>
  Number(nodes) === 1 ? `a node with ${what}` : `${nodes} nodes with ${what} each`;
const unlessEmpty = (value: Value, text: string): string => (value === '' ? '' : text);

const SENTENCES: { readonly [Reason in FitReason]: (params: FitParams<Reason>) => string } = {
  fits: () => 'There is room for it now.',
  unknown: () => 'It is not known yet what there is to run on.',
  'no-nodes': () => 'The cluster has no node.',
  'no-devices': ({ resource, available }) =>
    `No node offers ${resource}.${unlessEmpty(available, ` Available: ${available}.`)}`,
  'cpu-only': ({ profile }) => `The profile "${profile}" trains on the CPU.`,
  'unknown-device-type': ({ deviceType, available }) =>
    `There is no ${deviceType} here. ${available === '' ? 'There are no GPUs at all.' : `Available: ${available}.`}`,
  'device-memory-too-small': ({ neededMib, largestMib }) =>
    `The run needs a GPU with ${gigabytes(neededMib)}; ${
      largestMib === '' ? 'the nodes do not say how much theirs have' : `the largest here has ${gigabytes(largestMib)}`
    }.`,
  'device-too-old': ({ needed, newest }) =>
    `The run needs GPUs of compute capability ${needed} or newer; the newest here have ${newest}.`,
  'devices-shared': () =>
    'The GPUs here are shared between programs, without memory of their own; this run needs GPUs to itself.',
  'nodes-not-allowed': () =>
    'Every node that would do is closed to training runs by a taint or a label; ask the operator of the cluster.',
  'nodes-not-ready': () =>
    'Waiting for nodes: those that would do are away, closed for maintenance, or not started yet.',
  'nodes-to-come': () => 'Waiting for the cluster to add nodes that are large enough.',
  'node-too-small': ({ devicesPerNode, largest }) => `No node has ${gpus(devicesPerNode)}; the largest has ${largest}.`,
  'too-few-nodes': ({ nodes, devicesPerNode, fitting }) =>
    `The run needs ${shape(nodes, devicesPerNode)}; there ${Number(fitting) === 1 ? 'is 1 such place' : `are ${fitting} such places`}.`,
  'not-enough-cpu': ({ nodes, needed, most }) =>
    `The run needs ${nodesWith(nodes, `${needed} CPU cores`)}; the largest that would do has ${most}.`,
  'not-enough-memory': ({ nodes, neededMib, mostMib }) =>
    `The run needs ${nodesWith(nodes, `${gigabytes(neededMib)} of memory`)}; the largest that would do has ${gigabytes(mostMib)}.`,
  'devices-busy': ({ nodes, devicesPerNode, fitting, free, together }) =>
    Number(nodes) > 1
      ? `Waiting for GPUs: needs ${shape(nodes, devicesPerNode)}, ${fitting} of ${nodes} places free now.`
      : `Waiting for GPUs: needs ${devicesPerNode} on one node, ${free} free now${unlessEmpty(together, `, at most ${together} of them together`)}.`,
  'cpu-busy': ({ nodes, needed, most }) =>
    `Waiting for CPU: needs ${nodesWith(nodes, `${needed} cores`)} free, at most ${most} are now.`,
  'memory-busy': ({ nodes, neededMib, mostMib }) =>
    `Waiting for memory: needs ${nodesWith(nodes, gigabytes(neededMib))} free, at most ${gigabytes(mostMib)} are now.`,
  'nodes-full': () => 'Waiting for a node that takes another pod: all that would do have as many as they may.',
  'quota-exceeded': ({ quota, resource, hard, used, needed }) =>
    `Quota "${quota}": ${amount(resource, hard)}, ${amount(resource, used)} used, this run needs ${amount(resource, needed)}.`,
  'limit-exceeded': ({ limit, resource, max, needed }) =>
    `Limit "${limit}": one pod may have ${amount(resource, max)}, this run needs ${amount(resource, needed)}.`,
  'no-queueing': ({ queue }) => `Queue "${queue}" does not exist: there is no queueing system here.`,
  'unknown-queue': ({ queue, namespace, known }) =>
    `Queue "${queue}" does not exist in namespace ${namespace}; there is ${known === '' ? 'none' : known}.`,
  'queue-inactive': ({ queue }) => `Queue "${queue}" is stopped and admits nothing now.`,
  'queue-too-small': ({ clusterQueue, resource, most, needed }) =>
    `Queue "${clusterQueue}" has at most ${amount(resource, most)}; this run asks for ${amount(resource, needed)}.`,
  'queue-busy': ({ queue, resource, most, needed }) =>
    `In queue "${queue}": needs ${amount(resource, needed)}, ${amount(resource, most)} not reserved now.`,
};

function advice(nearest: FitAnswer['nearest']): string {
  if (!nearest) return '';
  if (nearest.devicesPerNode === 0) {
    return nearest.withoutQueue ? ' Leave `queue` out.' : ' Leave `resources` out to train on the CPU.';
  }
  const type = nearest.otherType ? ' of another type' : '';
  const queue = nearest.withoutQueue ? ', without a queue' : '';
  return ` Use ${shape(nearest.nodes, nearest.devicesPerNode)}${type}${queue}.`;
}

/** In simple words, with what would fit where that is known; the dashboard has the same ones in the reader's language. */
export function fitSentence({ reason, params, nearest }: Obstacle): string {
  // An obstacle is only made with the values of its reason.
  const say = SENTENCES[reason] as (params: Obstacle['params']) => string;
  return say(params) + advice(nearest);
}
