import { idTail } from '@luthier/contracts';
import type { RunReason, RunSpec, RunStatus, StopReason } from '@luthier/contracts';
import type { Explained, LiveObject, Observation } from './run-executor.js';

/** What one look at a run leads to. The reconciler applies it and looks again, until nothing is left to do. */
export type Action =
  | { type: 'none'; lookAgainInMs?: number }
  /** Write `creating` with the object's name, before anything is created. */
  | { type: 'announce'; objectName: string }
  | { type: 'create'; objectName: string }
  /** Write the object's UID: only then the run may begin. */
  | { type: 'place'; objectUid: string; pods: string[]; incarnation: number }
  /** Let the object begin, its UID being in the status. */
  | { type: 'release'; objectUid: string }
  /** A complete new set of pods: the next incarnation. */
  | { type: 'incarnate'; pods: string[] }
  | ({ type: 'update'; phase: 'queued' | 'scheduling' | 'starting' | 'running' } & Explained)
  /** Write why the attempt cannot go on, then end it. */
  | ({ type: 'give-up' } & Explained)
  | { type: 'order-stop'; reason: StopReason | 'deadline' }
  | { type: 'kill'; reason: RunReason }
  /** End and gather what is left of the attempt, then write its terminal status. */
  | { type: 'collect' }
  /** Terminal without ever having had an object. */
  | { type: 'end'; reason: RunReason; message: string }
  | { type: 'remove' };

export interface Observed {
  now: number;
  object: Observation;
  /** Of the status's attempt when it differs from the spec's. */
  olderObject?: Observation;
  /** An object of another attempt of the run is there and nobody has ordered its end. */
  leftovers?: boolean;
  runningMs: number;
}

const NONE: Action = { type: 'none' };
const LEAVING_LOOK_MS = 1_000;
const DEADLINE_MESSAGE = 'The run has reached its time limit and is being stopped.';

export const objectNameOf = (runId: string, attempt: number): string => `ft-${idTail(runId)}-${attempt}`;

/**
 * The next step from what should be, what was written and what is there. Pure: every rule of a run's life is here and
 * in its table of tests.
 */
export function decide(spec: RunSpec | undefined, status: RunStatus | undefined, observed: Observed): Action {
  if (!spec) return NONE; // a missing key never means stop
  if (spec.closed) return isGoing(observed.object) && observed.leftovers !== true ? NONE : { type: 'remove' };
  if (status && status.attempt > spec.attempt) return NONE; // a stale projection
  if (status?.attempt === spec.attempt) return decideCurrent(spec, status, observed);
  if (status && status.phase !== 'ended' && observed.olderObject && observed.olderObject.state !== 'absent') {
    return { type: 'collect' }; // the older attempt first: there are never two writers
  }
  return decideUnwritten(spec, observed);
}

const isGoing = (object: Observation): boolean =>
  object.state === 'absent' || (object.state === 'live' && object.leaving === true);

/** No status of this attempt yet, or it was lost. */
function decideUnwritten(spec: RunSpec, { object }: Observed): Action {
  if (object.state === 'live') return decideUnwrittenLive(spec, object);
  if (spec.seen?.attempt === spec.attempt || object.state !== 'absent') return { type: 'collect' };
  if (spec.desired === 'stopped') return neverStarted();
  return { type: 'announce', objectName: objectNameOf(spec.runId, spec.attempt) };
}

/** What was never let go may be somebody else's work under our name: only creating it again tells. */
function decideUnwrittenLive(spec: RunSpec, object: LiveObject): Action {
  const seen = spec.seen?.attempt === spec.attempt ? spec.seen : undefined;
  if (seen?.objectUid !== undefined && seen.objectUid !== object.objectUid) {
    return endStranger(object);
  }
  if (seen || !object.held) return placed(object);
  return { type: 'announce', objectName: objectNameOf(spec.runId, spec.attempt) };
}

function decideCurrent(spec: RunSpec, status: RunStatus, observed: Observed): Action {
  const { object } = observed;
  if (status.phase === 'ended') return isGoing(object) || object.state !== 'live' ? NONE : kill(status.reason);
  if (status.objectUid === undefined) return decideCreating(spec, status, object);
  if (object.state !== 'live') return { type: 'collect' };
  if (object.objectUid !== status.objectUid) return endStranger(object);
  return decideLive(spec, status, object, observed);
}

const kill = (reason: RunReason): Action => ({ type: 'kill', reason });

/** An object of the run's name that is not the run's: it never begins. */
const endStranger = ({ leaving }: LiveObject): Action =>
  leaving ? { type: 'none', lookAgainInMs: LEAVING_LOOK_MS } : kill('failed');

function decideCreating(spec: RunSpec, status: RunStatus, object: Observation): Action {
  const objectName = status.objectName ?? objectNameOf(spec.runId, spec.attempt);
  if (object.state === 'live') {
    if (object.leaving) return { type: 'none', lookAgainInMs: LEAVING_LOOK_MS };
    return object.held && spec.desired === 'running' ? { type: 'create', objectName } : placed(object);
  }
  if (spec.desired === 'stopped') return object.state === 'absent' ? neverStarted() : { type: 'collect' };
  if (object.state === 'ended') return { type: 'collect' };
  // Absent, or a runner that was never let in: create ends such leftovers itself.
  return { type: 'create', objectName };
}

export function placed({ objectUid, pods, noted }: Pick<LiveObject, 'objectUid' | 'pods' | 'noted'>): Action & {
  type: 'place';
} {
  return { type: 'place', objectUid, ...(noted ?? { pods, incarnation: pods.length > 0 ? 1 : 0 }) };
}

function decideLive(spec: RunSpec, status: RunStatus, object: LiveObject, { now, runningMs }: Observed): Action {
  const { objectUid, lookAgainInMs = Number.MAX_SAFE_INTEGER } = object;
  if (object.leaving) return { type: 'none', lookAgainInMs };
  if (status.phase === 'stopping') {
    if (object.idle || isGivenUp(status) || isLost(spec, object)) return { type: 'kill', reason: status.reason };
    const leftMs = stoppingSince(status, now) + spec.stopGraceSeconds * 1_000 - now;
    return leftMs <= 0 ? { type: 'kill', reason: status.reason } : { type: 'none', lookAgainInMs: leftMs };
  }
  if (spec.desired === 'stopped') return { type: 'order-stop', reason: spec.stopReason ?? 'cancel' };
  if (runningMs >= spec.deadlineSeconds * 1_000) return { type: 'order-stop', reason: 'deadline' };
  if (object.hopeless) return { type: 'give-up', ...object.hopeless };
  if (object.held) return { type: 'release', objectUid };
  if (object.pods.length > 0 && !isSameSet(object.pods, status.pods)) return { type: 'incarnate', pods: object.pods };
  const action = nextNews(status, object);
  if (action) return action;
  if (status.observedGeneration < spec.generation) return { type: 'update', ...saidBefore(status) };
  return { type: 'none', lookAgainInMs: Math.min(lookAgainInMs, spec.deadlineSeconds * 1_000 - runningMs) };
}

/** Whoever restarts a run on a node that does not answer has decided not to wait for it. */
const isLost = ({ stopReason }: RunSpec, { cutOff }: LiveObject): boolean =>
  stopReason === 'restart' && cutOff === true;

/** What the status does not say yet. */
function nextNews(status: RunStatus, { training, progress }: LiveObject): Action | undefined {
  if (training && !progress) {
    if (status.phase === 'running' && status.reason === 'process-running') return undefined;
    return { type: 'update', phase: 'running', reason: 'process-running', message: 'The run is training.' };
  }
  if (!progress) return undefined;
  const { phase, reason, message } = progress;
  if (status.phase === phase && status.reason === reason && status.message === message) return undefined;
  return { type: 'update', ...progress };
}

function saidBefore({ phase, reason, message, params, excerpt }: RunStatus): Omit<Action & { type: 'update' }, 'type'> {
  return {
    phase: phase === 'queued' || phase === 'scheduling' || phase === 'running' ? phase : 'starting',
    ...{ reason, message },
    ...(params && { params }),
    ...(excerpt !== undefined && { excerpt }),
  };
}

const isSameSet = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((one) => b.includes(one));

/** Ended by the trainer for what the object showed, not because somebody asked for it. */
export const isGivenUp = ({ phase, reason }: RunStatus): boolean =>
  phase === 'stopping' && reason !== 'stop-requested' && reason !== 'deadline-exceeded';

function neverStarted(): Action {
  return { type: 'end', reason: 'stopped', message: 'The run was stopped before it started.' };
}

const STOP_TIME = / \(since (.+)\)$/;

/** A stop's beginning is kept in the status's message, so that a restarted trainer keeps counting. */
export const stopMessage = (reason: StopReason | 'deadline', now: number): string =>
  `${reason === 'deadline' ? DEADLINE_MESSAGE : 'The run saves a checkpoint and stops.'} (since ${new Date(now).toISOString()})`;

function stoppingSince(status: RunStatus, now: number): number {
  const time = Date.parse(STOP_TIME.exec(status.message)?.[1] ?? '');
  return Number.isNaN(time) ? now : time;
}

/** Why an attempt has ended, from what it left and what was wanted. */
export function terminalReason(
  spec: RunSpec,
  status: RunStatus | undefined,
  left: { code?: string | undefined; found: boolean; missing: boolean; reason?: RunReason | undefined },
): RunReason {
  if (left.found && left.code === undefined) return 'succeeded';
  if (status?.reason === 'deadline-exceeded') return 'deadline-exceeded';
  if (status && isGivenUp(status)) return status.reason;
  if (spec.desired === 'stopped') return 'stopped';
  if (left.reason !== undefined) return left.reason;
  if (!left.found && left.missing) {
    const existed = status?.objectUid ?? (spec.seen?.attempt === spec.attempt ? spec.seen.objectUid : undefined);
    return existed === undefined ? 'not-started' : 'deleted-externally';
  }
  return 'failed';
}
