import type { RunOutcome, RunResources, RunSpec, RunStatus, StopReason } from '@luthier/contracts';

/** One run: what should be, and what was last seen. Plain immutable data. */
export interface Run {
  readonly id: string;
  readonly jobId: string;
  readonly attempt: number;
  readonly generation: number;
  readonly projectedGeneration: number;
  readonly desired: 'running' | 'stopped';
  readonly stopReason: StopReason | null;
  readonly stopGraceSeconds: number;
  readonly checkpointRequest: number;
  readonly requestUri: string;
  readonly requestSha256: string;
  readonly resources: RunResources;
  readonly runtime: string;
  readonly profile: string;
  /** A queue outside that decides when it starts; null: it is admitted here. */
  readonly queueName: string | null;
  readonly priority: number;
  readonly deadlineSeconds: number;
  /** Nodes that attempts made from now on stay away from. */
  readonly avoidNodes: string[];
  readonly seenAttempt: number | null;
  readonly seenObjectUid: string | null;
  readonly status: RunStatus | null;
  readonly outcome: RunOutcome | null;
  readonly live: boolean;
  readonly closed: boolean;
  readonly finishedAt: string | null;
  readonly purgedAt: string | null;
  readonly retries: number;
  readonly interruptions: number;
  readonly crashes: number;
  readonly stepAtRetry: number;
  readonly firstStepAt: string | null;
}

export type NewRun = Pick<
  Run,
  | 'id'
  | 'jobId'
  | 'stopGraceSeconds'
  | 'requestUri'
  | 'requestSha256'
  | 'resources'
  | 'runtime'
  | 'profile'
  | 'priority'
  | 'deadlineSeconds'
> &
  Partial<Pick<Run, 'queueName'>>;

export const newRun = (fields: NewRun): Run => ({
  queueName: null,
  avoidNodes: [],
  ...fields,
  attempt: 1,
  generation: 1,
  projectedGeneration: 0,
  desired: 'running',
  stopReason: null,
  checkpointRequest: 0,
  seenAttempt: null,
  seenObjectUid: null,
  status: null,
  outcome: null,
  live: true,
  closed: false,
  finishedAt: null,
  purgedAt: null,
  retries: 0,
  interruptions: 0,
  crashes: 0,
  stepAtRetry: -1,
  firstStepAt: null,
});

const changed = (run: Run, patch: Partial<Run>): Run => ({ ...run, ...patch, generation: run.generation + 1 });

export const stopped = (run: Run, stopReason: 'cancel' | 'pause'): Run =>
  changed(run, { desired: 'stopped', stopReason });

/** Its attempt is to end, so that the next one begins: anywhere but on these nodes. */
export const restarting = (run: Run, avoidNodes: readonly string[]): Run =>
  changed(run, { desired: 'stopped', stopReason: 'restart', avoidNodes: [...avoidNodes] });

/** Only when the end of the attempt before it is stored. */
export const nextAttempt = (run: Run, patch: Partial<Run> = {}): Run =>
  changed(run, { ...patch, attempt: run.attempt + 1, desired: 'running', stopReason: null, status: null, live: true });

/** Neither device nor process is left of the current attempt. */
export const ended = (run: Run): Run => ({ ...run, live: false });

export const closed = (run: Run, now: string): Run => changed(run, { closed: true, live: false, finishedAt: now });

/**
 * The run with a status the trainer wrote; undefined when it says nothing new: of another attempt, of a finished run, or
 * older than what is stored.
 */
export function withStatus(run: Run, status: RunStatus): Run | undefined {
  if (run.closed || status.attempt !== run.attempt || !run.live) return undefined;
  const before = run.status;
  if (before && (status.incarnation < before.incarnation || before.phase === 'ended')) return undefined;
  if (before && JSON.stringify(before) === JSON.stringify(status)) return undefined;
  const uid = status.objectUid ?? (run.seenAttempt === status.attempt ? run.seenObjectUid : null);
  const seenIsNew = run.seenAttempt !== status.attempt || run.seenObjectUid !== uid;
  const next: Run = { ...run, status, outcome: status.outcome ?? run.outcome };
  return seenIsNew ? changed(next, { seenAttempt: status.attempt, seenObjectUid: uid }) : next;
}

/** Whether a queue outside has taken this set of processes away: what it still says is of the past. */
export const isSetBack = ({ status }: Run, incarnation: number): boolean =>
  status?.phase === 'queued' && incarnation <= status.incarnation;

/** The projection that the trainer reads. */
export const specOf = (run: Run): RunSpec => ({
  runId: run.id,
  jobId: run.jobId,
  owner: { kind: 'job', id: run.jobId },
  attempt: run.attempt,
  generation: run.generation,
  desired: run.desired,
  ...(run.stopReason !== null && { stopReason: run.stopReason }),
  stopGraceSeconds: run.stopGraceSeconds,
  checkpointRequest: run.checkpointRequest,
  requestUri: run.requestUri,
  requestSha256: run.requestSha256,
  resources: run.resources,
  runtime: run.runtime,
  profile: run.profile,
  queue: run.queueName === null ? 'internal' : 'external',
  ...(run.queueName !== null && { queueName: run.queueName }),
  priority: run.priority,
  deadlineSeconds: run.deadlineSeconds,
  ...(run.avoidNodes.length > 0 && { avoidNodes: run.avoidNodes }),
  ...(run.seenAttempt !== null && {
    seen: { attempt: run.seenAttempt, ...(run.seenObjectUid !== null && { objectUid: run.seenObjectUid }) },
  }),
  ...(run.closed && { closed: true }),
});
