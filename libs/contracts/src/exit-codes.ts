import type { ErrorCode } from './errors.js';

/** How a runtime or runner ends. Small codes are used by Node and torchrun themselves. */
export const EXIT = {
  done: 0,
  badData: 40,
  badConfiguration: 41,
  deviceOutOfMemory: 42,
  diverged: 43,
  modelUnreadable: 44,
  diskFull: 45,
  storageUnreachable: 50,
  collectiveFailed: 51,
  savedAndLeft: 60,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const CODE_OF_EXIT: Readonly<Record<number, ErrorCode>> = {
  [EXIT.badData]: 'data.bad',
  [EXIT.badConfiguration]: 'config.bad',
  [EXIT.deviceOutOfMemory]: 'device.out-of-memory',
  [EXIT.diverged]: 'training.diverged',
  [EXIT.modelUnreadable]: 'model.unreadable',
  [EXIT.diskFull]: 'disk.full',
  [EXIT.storageUnreachable]: 'storage.unreachable',
  [EXIT.collectiveFailed]: 'collective.failed',
  [EXIT.savedAndLeft]: 'runtime.interrupted',
};

/** The error code that an exit status stands for; undefined for 0; unknown ones are `runtime.crashed`. */
export function errorCodeOfExit(exitCode: number): ErrorCode | undefined {
  return exitCode === EXIT.done ? undefined : (CODE_OF_EXIT[exitCode] ?? 'runtime.crashed');
}

/** The exit status that says `code`; `undefined` when no status is reserved for it. */
export function exitOfErrorCode(code: ErrorCode): ExitCode | undefined {
  const found = Object.entries(CODE_OF_EXIT).find(([, candidate]) => candidate === code);
  return found ? (Number(found[0]) as ExitCode) : undefined;
}

/** From the most telling to the least: what an attempt of several processes is said to have ended with. */
export const OUTCOME_ORDER: readonly ErrorCode[] = [
  'data.bad',
  'config.bad',
  'device.out-of-memory',
  'training.diverged',
  'model.unreadable',
  'disk.full',
  'host.out-of-memory',
  'storage.unreachable',
  // What took the ground from under a process says more than how the process then ended.
  'cluster.gpu-fault',
  'cluster.node-lost',
  'cluster.node-refused',
  'cluster.node-pressure',
  'cluster.preempted',
  'cluster.evicted',
  'runtime.killed',
  'runtime.crashed',
  'collective.failed',
  'runtime.interrupted',
];

/** Infrastructure faults: tried again from the newest checkpoint, not charged to the user. */
export const RETRIED_CODES: readonly ErrorCode[] = [
  'storage.unreachable',
  'collective.failed',
  'runtime.killed',
  'runtime.interrupted',
  'run.stalled',
  'cluster.no-capacity',
  'cluster.unreachable',
  'cluster.gpu-fault',
  'cluster.node-lost',
  'cluster.node-refused',
  'cluster.node-pressure',
  'cluster.preempted',
  'cluster.evicted',
];
