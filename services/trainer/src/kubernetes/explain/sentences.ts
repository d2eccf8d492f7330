import type { RunParams, RunReason } from '@luthier/contracts';

type Say = (params: RunParams) => string;

const DEVICES: Readonly<Record<string, string>> = { cpu: 'CPU cores', memory: 'memory', 'ephemeral-storage': 'disk' };
/** What people call a resource: "GPUs" for any vendor's, else the plain word. */
function things(resource: string | number | undefined): string {
  const name = String(resource ?? '').replace(/^(?:requests|limits)\./, '');
  if (name === '' || /gpu|mig-/i.test(name)) return 'GPUs';
  return DEVICES[name] ?? name;
}
/** `text` with the value, or nothing when there is no value. */
const when = (value: string | number | undefined, text: (value: string | number) => string): string =>
  value === undefined || value === '' ? '' : text(value);
const quoted = (value: string | number): string => ` "${value}"`;
/** Causes that are known by a name, so that they can be said in any language; others are the cluster's words. */
const CAUSES: Readonly<Record<string, string>> = {
  badName: 'its name is not valid, or it may not be fetched here',
  notAllowed: 'not allowed (look at the pull secret)',
  notFound: 'it does not exist',
  rateLimited: 'the registry limits how often it may be asked',
  unreachable: 'the registry cannot be reached',
  diskFull: 'the disk of the node is full',
  badCredentials: 'its credentials are not accepted',
  noQueueing: 'the cluster has no queueing system now; the run waits until it has one',
};
const because = (cause: string | number | undefined): string =>
  when(cause, (name) => `: ${Object.hasOwn(CAUSES, name) ? CAUSES[name] : name}`);
const atStep: Say = ({ step }) => when(step, (n) => ` at step ${n}`);
const fromStep: Say = ({ step }) => (step === undefined ? 'from its last checkpoint' : `from step ${step}`);
const plain =
  (text: string): Say =>
  () =>
    text;

const SENTENCES: Readonly<Record<RunReason, Say>> = {
  'process-starting': plain('The process is being started.'),
  'process-running': plain('The run is training.'),
  'stop-requested': plain('The run saves a checkpoint and stops.'),
  'waiting-in-queue': ({ queue, needed, resource, position, cause }) =>
    `In queue${when(queue, quoted)}${when(position, (n) => `, place ${n}`)}${
      needed === undefined ? '' : `: ${needed} more ${things(resource)} needed`
    }${because(cause)}.`,
  'waiting-for-capacity': ({ resource }) =>
    `Waiting for a node with room${when(resource, (r) => `: not enough ${things(r)} free`)}.`,
  'waiting-for-gpus': ({ needed, nodes, free }) =>
    `Waiting for GPUs${when(needed, (n) => `: needs ${n} on ${nodes === undefined ? 'one node' : `each of ${nodes} nodes at once`}`)}${when(free, (n) => `, ${n} free now`)}.`,
  'waiting-for-volume': plain('Waiting for a volume: the storage that the run asks for is not there yet.'),
  'no-matching-node': ({ nodes, cause }) =>
    `No node of the cluster matches what the run asks for${when(nodes, (n) => ` (${n} looked at)`)}${because(cause)}.`,
  'partial-gang': ({ placed, nodes }) =>
    `Only ${placed ?? 'some'} of ${nodes ?? 'all'} nodes could start; all of them are needed at once.`,
  'pulling-image': ({ image }) => `Fetching the training image${when(image, quoted)}.`,
  'containers-starting': plain('The containers are starting.'),
  'cluster-unreachable': ({ since }) =>
    `The cluster's API cannot be reached${when(since, (time) => ` since ${time}`)}; running trainings are not affected.`,
  'cannot-ever-fit': ({ needed, largest, nodes }) =>
    nodes === undefined
      ? `No node has ${needed ?? 'so many'} GPUs${when(largest, (n) => `; the largest has ${n}`)}.`
      : `The cluster cannot hold ${nodes} nodes with ${needed ?? 'so many'} GPUs each at once.`,
  'queue-too-small': ({ queue, limit, needed, resource }) =>
    `Queue${when(queue, quoted)} has at most ${limit ?? 'fewer'} ${things(resource)}; this run asks for ${needed ?? 'more'}.`,
  'queue-rejected': ({ queue, cause, queues }) =>
    `Queue${when(queue, quoted)} does not take this run${because(cause)}${when(queues, (names) => `; there is ${names}`)}.`,
  'quota-exceeded': ({ quota, limit, used, needed, resource }) =>
    `Quota${when(quota, quoted)}: ${used ?? 'some'} of ${limit ?? 'all'} ${things(resource)} in use; this run needs ${needed ?? 'more'}.`,
  'object-refused': ({ cause }) => `The cluster refused the run${because(cause)}.`,
  'name-taken': ({ name }) => `The name${when(name, quoted)} is taken by another object of the cluster.`,
  'namespace-terminating': ({ name }) => `The namespace${when(name, quoted)} for training is being deleted.`,
  'image-pull': ({ image, cause }) => `The training image${when(image, quoted)} cannot be fetched${because(cause)}.`,
  'config-missing': ({ name, cause }) =>
    name === undefined
      ? `Something that the run needs is missing in the cluster${because(cause)}.`
      : `${name} is missing in the cluster.`,
  'cluster-forbidden': ({ cause }) => `The trainer lacks a right in the cluster${because(cause)}.`,
  preempted: (params) => `Paused for a more urgent run${atStep(params)}; resumes by itself.`,
  evicted: (params) =>
    `The cluster moved this run away from node${when(params.node, quoted)}; it goes on ${fromStep(params)}.`,
  'node-pressure': ({ node, resource }) =>
    `Node${when(node, quoted)} ran out of ${resource === undefined ? 'disk or memory' : things(resource)}.`,
  'node-lost': (params) =>
    `Node${when(params.node, quoted)} stopped answering${when(params.since, (t) => ` at ${t}`)}; the run goes on ${fromStep(params)} when it is back, or on another node.`,
  'node-refused': ({ node, cause }) => `Node${when(node, quoted)} did not accept the run${because(cause)}.`,
  'gpu-fault': ({ node, xid }) =>
    `A GPU failed${when(xid, (x) => ` (XID ${x})`)}${when(node, (n) => ` on node "${n}"`)}; the run goes on on another node.`,
  stalled: ({ seconds }) =>
    `No progress${when(seconds, (s) => ` for ${Math.max(1, Math.round(Number(s) / 60))} min`)}; the processes may wait for each other.`,
  'queue-deactivated': ({ queue }) => `The run was switched off in queue${when(queue, quoted)}.`,
  'deleted-externally': ({ name }) => `The Kubernetes job${when(name, quoted)} was deleted outside the platform.`,
  'deadline-exceeded': (params) => `Stopped at its time limit${atStep(params)}; its last checkpoint is kept.`,
  'not-started': plain('The run never started.'),
  succeeded: plain('The run has ended with a result.'),
  stopped: plain('The run was stopped.'),
  failed: plain('The run failed.'),
  'bad-data': plain('The training data cannot be used.'),
  'bad-configuration': plain('The configuration cannot be run.'),
  'device-out-of-memory': (params) => `GPU memory ran out${atStep(params)}.`,
  'host-out-of-memory': (params) =>
    `System memory (not GPU memory) ran out${when(params.limit, (l) => `: the limit of ${l} was exceeded`)}${atStep(params)}.`,
  diverged: (params) => `The loss became infinite or not a number${atStep(params)}.`,
  'model-unreadable': plain('The model files cannot be read.'),
  'disk-full': plain('The disk is full.'),
  'storage-unreachable': plain('The storage or control endpoint cannot be reached.'),
  'collective-failed': plain('The processes of the run lost each other.'),
  killed: plain('The training process was killed from outside.'),
  crashed: plain('The training process ended without a reason.'),
  interrupted: (params) => `The run was interrupted; it goes on ${fromStep(params)}.`,
};

/** The English sentence of a reason; values that are not known are left out of it. */
export const sentence = (reason: RunReason, params: RunParams): string => SENTENCES[reason](params);
