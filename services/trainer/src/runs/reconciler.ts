import { isTerminalPhase } from '@luthier/contracts';
import type { RunSpec, RunStatus } from '@luthier/contracts';
import { RevisionConflict } from '@luthier/messaging';
import type { RunEntry, RunsBucket } from '@luthier/messaging';
import type { Logger } from '@luthier/service-kit';
import { decide, placed, stopMessage } from './decide.js';
import type { Action } from './decide.js';
import { endOf } from './ending.js';
import { KnownRuns } from './known-runs.js';
import { LookQueue } from './look-queue.js';
import type { Look } from './look-queue.js';
import { Hindered, Refused } from './run-executor.js';
import type { AttemptKey, Known, RunExecutor } from './run-executor.js';
import type { RunsMetrics } from './runs.metrics.js';

export interface ReconcilerParts {
  runs: RunsBucket;
  executor: RunExecutor;
  metrics: RunsMetrics;
  logger: Logger;
  /** How often everything is looked at besides watching. @default 60000 */
  relistIntervalMs?: number;
}

type StatusEntry = RunEntry<'status'>;
type StatusChange = Partial<RunStatus> & Pick<RunStatus, 'phase' | 'reason' | 'message'>;
type WriteStatus = (change: StatusChange) => Promise<void>;

/** More looks at once only make each of them slower: the API and NATS answer so many at a time. */
const LOOKS_AT_ONCE = 64;
const MAX_STEPS = 12;
const TOO_MANY_STEPS_PAUSE_MS = 1_000;

/** Brings every run from what is to what should be, one look at a time; the only writer of `<runId>.status`. */
export class Reconciler {
  private readonly ended = new AbortController();
  private readonly known: KnownRuns;
  private readonly looks: LookQueue;
  /** Newest that was passed on, by run. */
  private readonly checkpointRequests = new Map<string, number>();
  private watching: Promise<void> | undefined;
  private unsubscribe: (() => void) | undefined;

  constructor(private readonly parts: ReconcilerParts) {
    this.known = new KnownRuns(parts.runs);
    this.looks = new LookQueue({
      look: (runId, look) => this.reconcile(runId, look),
      onFault: (runId, cause) => this.tellFault(runId, cause),
      atOnce: LOOKS_AT_ONCE,
    });
  }

  start(): void {
    this.parts.metrics.countPhases(() => this.known.phases());
    this.unsubscribe = this.parts.executor.onChange((runId) => this.looks.ask(runId));
    this.watching = this.watch();
  }

  /** Takes no new step; returns when the running ones are done. */
  async stop(): Promise<void> {
    this.ended.abort();
    this.unsubscribe?.();
    await this.looks.stop();
    await this.watching;
    this.parts.metrics.countPhases(() => []);
  }

  private async watch(): Promise<void> {
    const { runs, relistIntervalMs } = this.parts;
    const options = { signal: this.ended.signal, ...(relistIntervalMs !== undefined && { relistIntervalMs }) };
    let listed = false;
    for await (const change of runs.watch('spec', options)) {
      if (change.type === 'put') {
        this.known.saw(change.entry);
        this.looks.ask(change.entry.runId);
      } else if (change.type === 'list') {
        this.known.listed(change.entries);
        for (const { runId } of change.entries) this.looks.ask(runId, listed);
        listed = true; // the first list is how a life begins, not a correction
      } else this.forget(change.runId);
    }
  }

  /** Both sides are done with the run. */
  private forget(runId: string): void {
    this.looks.forget(runId);
    this.known.forget(runId);
    this.checkpointRequests.delete(runId);
  }

  private async tellFault(runId: string, cause: unknown): Promise<void> {
    this.parts.metrics.reconcileErrors.inc();
    this.parts.logger.error({ runId, err: cause }, 'A step of a run failed and is repeated');
    await this.tellHindrance(runId, cause).catch(() => undefined); // NATS is away too: told with the next try
  }

  /** Steps until nothing is left to do. @returns when to look again. */
  private async reconcile(runId: string, look: Look): Promise<number | undefined> {
    let { byList } = look;
    for (let step = 0; step < MAX_STEPS && !this.ended.signal.aborted; step++) {
      const spec = this.known.spec(runId);
      if (!spec) return undefined;
      try {
        const action = await this.step(spec);
        if (action.type === 'none') {
          if (spec.closed) this.forgetDone(spec);
          return action.lookAgainInMs;
        }
        if (byList) this.parts.metrics.corrections.inc();
        byList = false;
      } catch (cause) {
        if (!(cause instanceof RevisionConflict)) throw cause; // else: decided anew on what is there now
      }
    }
    return TOO_MANY_STEPS_PAUSE_MS;
  }

  /** @returns what was done. */
  private async step(spec: RunSpec): Promise<Action> {
    const { runId, attempt } = spec;
    const started = performance.now();
    // Of a closed run only the object matters.
    const entry = spec.closed ? undefined : await this.known.status(runId);
    const action = await this.decide(spec, entry?.value);
    if (action.type === 'none') {
      await this.passOnCheckpointRequest(spec, entry?.value);
      return action;
    }
    await this.apply(action, spec, entry);
    const durationMs = performance.now() - started;
    this.parts.metrics.reconcileDuration.observe({ action: action.type }, durationMs / 1_000);
    this.parts.logger.info({ op: `run.${action.type}`, ok: true, runId, attempt, durationMs: Math.round(durationMs) });
    return action;
  }

  /** What is said of it later comes with the watch. Finished runs stay in the bucket for a day. */
  private forgetDone({ runId, attempt }: RunSpec): void {
    if (this.known.spec(runId)?.attempt === attempt) this.known.forget(runId);
    this.checkpointRequests.delete(runId);
  }

  private async decide(spec: RunSpec, status: RunStatus | undefined): Promise<Action> {
    const { executor } = this.parts;
    const object = await executor.observe(keyOf(spec), knownOf(spec, status));
    const older =
      status && status.attempt < spec.attempt
        ? await executor.observe(keyOf(status), { objectUid: status.objectUid, profile: spec.profile })
        : undefined;
    const runningMs = object.state === 'live' ? await executor.runningMs(spec.runId) : 0;
    const leftovers = executor.hasOthers(keyOf(spec));
    return decide(spec, status, {
      now: Date.now(),
      object,
      runningMs,
      leftovers,
      ...(older && { olderObject: older }),
    });
  }

  /** So that whoever waits for the run reads why nothing moves. A stop keeps its sentence: it says since when. */
  private async tellHindrance(runId: string, cause: unknown): Promise<void> {
    if (!(cause instanceof Hindered)) return;
    const spec = this.known.spec(runId);
    const entry = await this.known.status(runId);
    const status = entry?.value;
    if (!spec || !entry || status?.attempt !== spec.attempt) return;
    if (status.phase === 'running' || status.phase === 'ended') return;
    const { reason, message, params, excerpt } = cause.explained;
    const told =
      status.phase === 'stopping' ? { reason: status.reason, message: status.message } : { reason, message, params };
    if (status.message === told.message && status.excerpt === excerpt) return;
    await this.write(spec, status, { phase: status.phase, ...told, excerpt }, entry);
  }

  private async apply(action: Action, spec: RunSpec, entry: StatusEntry | undefined): Promise<void> {
    const { executor } = this.parts;
    const status = entry?.value.attempt === spec.attempt ? entry.value : undefined;
    const write: WriteStatus = (value) => this.write(spec, status, value, entry);
    switch (action.type) {
      case 'none':
        return;
      case 'announce':
        await write({
          phase: 'creating',
          reason: 'process-starting',
          message: 'The process is being started.',
          objectName: action.objectName,
        });
        return;
      case 'create':
        return this.unlessRefused(write, async () =>
          this.place(placed(await executor.create(spec, action.objectName)), status, write),
        );
      case 'place':
        return this.place(action, status, write);
      case 'release':
        return this.unlessRefused(write, () => executor.release(spec, action.objectUid));
      case 'incarnate': {
        const { pods } = action;
        const incarnation = (status?.incarnation ?? 0) + 1;
        await executor.noteIncarnation(spec, incarnation, pods);
        await write({
          ...{ phase: 'starting', reason: 'process-starting', message: 'The process has started.' },
          ...{ pods, incarnation },
        });
        return;
      }
      case 'update': {
        const { phase, reason, message, params, excerpt } = action;
        await write({ phase, reason, message, params, excerpt });
        return;
      }
      case 'give-up': {
        const { reason, message, params, excerpt } = action;
        await write({ phase: 'stopping', reason, message, params, excerpt });
        return;
      }
      case 'order-stop':
        await write({
          phase: 'stopping',
          reason: action.reason === 'deadline' ? 'deadline-exceeded' : 'stop-requested',
          message: stopMessage(action.reason, Date.now()),
        });
        await executor.stop(keyOf(spec), action.reason === 'deadline' ? 'preempt' : action.reason);
        return;
      case 'kill':
        await executor.kill(keyOf(spec));
        return;
      case 'collect':
        return this.collect(spec, entry);
      case 'end':
        await write({
          phase: 'ended',
          reason: action.reason,
          message: action.message,
          endedAt: new Date().toISOString(),
        });
        return;
      case 'remove':
        await executor.remove(spec.runId);
    }
  }

  private async place(
    { objectUid, pods, incarnation }: Action & { type: 'place' },
    status: RunStatus | undefined,
    write: WriteStatus,
  ): Promise<void> {
    await write({
      ...{ phase: 'starting', reason: 'process-starting', message: 'The process has started.' },
      // Of a hindrance that is over.
      ...{ params: undefined, excerpt: undefined },
      ...{ objectUid, pods, incarnation },
      startedAt: status?.startedAt ?? new Date().toISOString(),
    });
  }

  private async unlessRefused(write: WriteStatus, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (cause) {
      if (!(cause instanceof Refused)) throw cause;
      // Picked one by one: an explanation may carry more than a status does, a phase of its own among it.
      const { reason, message, params, excerpt } = cause.explained;
      await write({ phase: 'ended', reason, message, params, excerpt, endedAt: new Date().toISOString() });
    }
  }

  /** Nothing of the attempt runs any more when its terminal status is written. */
  private async collect(spec: RunSpec, entry: StatusEntry | undefined): Promise<void> {
    const attempt =
      entry && entry.value.attempt < spec.attempt && !isTerminalPhase(entry.value.phase)
        ? entry.value.attempt
        : spec.attempt;
    const status = entry?.value.attempt === attempt ? entry.value : undefined;
    const collected = await this.parts.executor.collect({ runId: spec.runId, attempt });
    const end = endOf(spec, status, collected);
    await this.write({ ...spec, attempt }, status, { ...end, endedAt: new Date().toISOString() }, entry);
  }

  /** @param before what the new status goes on from; `entry` what is there, perhaps of an older attempt. */
  private write(
    spec: RunSpec,
    before: RunStatus | undefined,
    change: StatusChange,
    entry: StatusEntry | undefined,
  ): Promise<void> {
    const empty = { runId: spec.runId, attempt: spec.attempt, incarnation: 0, pods: [] };
    return this.known.write({ ...empty, ...before, ...change, observedGeneration: spec.generation }, entry);
  }

  private async passOnCheckpointRequest(
    { runId, attempt, checkpointRequest }: RunSpec,
    status: RunStatus | undefined,
  ): Promise<void> {
    if (status?.phase !== 'running' && status?.phase !== 'starting') return;
    if (this.checkpointRequests.get(runId) === checkpointRequest) return;
    this.checkpointRequests.set(runId, checkpointRequest);
    await this.parts.executor.checkpoint({ runId, attempt }, checkpointRequest);
  }
}

/** Of a closed run nothing depends on whether an object is surely gone: it is not asked for again. */
const knownOf = (spec: RunSpec, status: RunStatus | undefined): Known => ({
  objectUid: spec.closed
    ? undefined
    : ((status?.attempt === spec.attempt ? status.objectUid : undefined) ??
      (spec.seen?.attempt === spec.attempt ? spec.seen.objectUid : undefined)),
  profile: spec.profile,
});

const keyOf = ({ runId, attempt }: { runId: string; attempt: number }): AttemptKey => ({ runId, attempt });
