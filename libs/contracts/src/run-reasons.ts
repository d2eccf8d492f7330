import { z } from 'zod';
import type { ErrorCode } from './errors.js';

/** Why a run is where it is. Closed: everything that reads a status has a sentence for each of them. */
export const RUN_REASONS = [
  // on its way
  'process-starting',
  'process-running',
  'stop-requested',
  'waiting-in-queue',
  'waiting-for-capacity',
  'waiting-for-gpus',
  'waiting-for-volume',
  'no-matching-node',
  'partial-gang',
  'pulling-image',
  'containers-starting',
  'cluster-unreachable',
  // waits for what may never come: an end when it lasts
  'cannot-ever-fit',
  'queue-too-small',
  'queue-rejected',
  'quota-exceeded',
  'object-refused',
  'name-taken',
  'namespace-terminating',
  'image-pull',
  'config-missing',
  'cluster-forbidden',
  // ended by what carries the run
  'preempted',
  'evicted',
  'node-pressure',
  'node-lost',
  'node-refused',
  'gpu-fault',
  'stalled',
  'queue-deactivated',
  'deleted-externally',
  'deadline-exceeded',
  'not-started',
  // ended by itself
  'succeeded',
  'stopped',
  'failed',
  'bad-data',
  'bad-configuration',
  'device-out-of-memory',
  'host-out-of-memory',
  'diverged',
  'model-unreadable',
  'disk-full',
  'storage-unreachable',
  'collective-failed',
  'killed',
  'crashed',
  'interrupted',
] as const;
export type RunReason = (typeof RUN_REASONS)[number];

/** Names of the values that reasons carry. A sentence names only these; absent ones are left out of it. */
export const RUN_PARAMS = {
  /** `needed`, `free`, `used`, `limit`: amounts of `resource`; a text where the amount has a unit ("64Gi"). */
  numbers: ['needed', 'free', 'used', 'limit', 'largest', 'nodes', 'placed', 'position', 'step', 'seconds'],
  texts: ['resource', 'node', 'queue', 'quota', 'image', 'cause', 'name', 'xid', 'since', 'queues'],
} as const;
export type RunParam = (typeof RUN_PARAMS)['numbers' | 'texts'][number];

export const runParams = z.partialRecord(
  z.enum([...RUN_PARAMS.numbers, ...RUN_PARAMS.texts]),
  z.union([z.number(), z.string().max(256)]),
);
export type RunParams = z.output<typeof runParams>;

/** The error code of an attempt that ended for this reason and left no outcome; null: no fault, or the outcome says it. */
export const CODE_OF_REASON: Readonly<Record<RunReason, ErrorCode | null>> = {
  'process-starting': null,
  'process-running': null,
  'stop-requested': null,
  'waiting-in-queue': 'cluster.no-capacity',
  'waiting-for-capacity': 'cluster.no-capacity',
  'waiting-for-gpus': 'cluster.no-capacity',
  'waiting-for-volume': 'cluster.no-capacity',
  'no-matching-node': 'cluster.no-capacity',
  'partial-gang': 'cluster.no-capacity',
  'pulling-image': 'cluster.no-capacity',
  'containers-starting': 'cluster.no-capacity',
  'cluster-unreachable': 'cluster.unreachable',
  'cannot-ever-fit': 'cluster.too-small',
  'queue-too-small': 'cluster.too-small',
  'queue-rejected': 'cluster.queue-rejected',
  'quota-exceeded': 'cluster.quota-exceeded',
  'object-refused': 'cluster.refused',
  'name-taken': 'cluster.name-taken',
  'namespace-terminating': 'cluster.namespace-terminating',
  'image-pull': 'cluster.image-unavailable',
  'config-missing': 'cluster.config-missing',
  'cluster-forbidden': 'cluster.forbidden',
  preempted: 'cluster.preempted',
  evicted: 'cluster.evicted',
  'node-pressure': 'cluster.node-pressure',
  'node-lost': 'cluster.node-lost',
  'node-refused': 'cluster.node-refused',
  'gpu-fault': 'cluster.gpu-fault',
  stalled: 'run.stalled',
  'queue-deactivated': 'cluster.queue-rejected',
  'deleted-externally': 'run.deleted-externally',
  'deadline-exceeded': 'run.deadline-exceeded',
  'not-started': 'runtime.interrupted',
  succeeded: null,
  stopped: 'runtime.interrupted',
  failed: 'runtime.crashed',
  'bad-data': 'data.bad',
  'bad-configuration': 'config.bad',
  'device-out-of-memory': 'device.out-of-memory',
  'host-out-of-memory': 'host.out-of-memory',
  diverged: 'training.diverged',
  'model-unreadable': 'model.unreadable',
  'disk-full': 'disk.full',
  'storage-unreachable': 'storage.unreachable',
  'collective-failed': 'collective.failed',
  killed: 'runtime.killed',
  crashed: 'runtime.crashed',
  interrupted: 'runtime.interrupted',
};
