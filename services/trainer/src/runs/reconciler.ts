import { isTerminalPhase } from '@luthier/contracts';
import type { RunPhase, RunReason, RunSpec, RunStatus } from '@luthier/contracts';
import { RevisionConflict } from '@luthier/messaging';
import type { RunEntry, RunsBucket } from '@luthier/messaging';
import type { Logger } from '@luthier/service-kit';
import { decide, isGivenUp, placed, stopMessage, terminalReason } from './decide.js';
import type { Action } from './decide.js';
import { Hindered, Refused } from './run-executor.js';
import type { AttemptKey, Known, RunExecutor } from './run-executor.js';
import type { RunsMetrics } from './runs.metrics.js';
import { Turns } from './turns.js';

export interface ReconcilerParts {
  runs: RunsBucket;
  executor: RunExecutor;
  metrics: RunsMetrics;
  logger: Logger;
  /** How often everything is looked at besides watching. @default 60000 */
  relistIntervalMs?: number;
}

type StatusChange = Partial<RunStatus> & Pick<RunStatus, 'phase' | 'reason' | 'message'>;
type WriteStatus = (change: StatusChange) => Promise<number>;

/** More looks at once only make each of them slower: the API and NATS answer so many at a time. */
const LOOKS_AT_ONCE = 64;
const MAX_STEPS = 12;
const RETRY_MS = 1_000;
/** What stays broken is tried less and less often, but never much later than it is mended. */
const MAX_RETRY_MS = 10_000;
const MAX_TIMER_MS = 24 * 60 * 60 * 1_000;

interface Work {
  running: boolean;
  again: boolean;
  /** Only the periodic list asked for this look. */
  byList: boolean;
  /** Looks in a row that failed. */
  failures: number;
  timer?: NodeJS.Timeout;
  phase?: RunPhase;
  checkpointRequest?: number;
}

/** Brings every run from what is to what should be, one look at a time; the only writer of `<runId>.status`. */
export class Reconciler {
  private readonly work = new Map<string, Work>();
  private readonly ended = new AbortController();
  private watching: Promise<void> | undefined;
  private unsubscribe: (() => void) | undefined;
  private readonly busy = new Set<Promise<void>>();
  private readonly turns = new Turns(LOOKS_AT_ONCE);

  constructor(private readonly parts: ReconcilerParts) {}

  start(): void {
    this.unsubscribe = this.parts.executor.onChange((runId) => this.look(runId));
    this.watching = this.watch();
  }

  /** Takes no new step; returns when the running ones are done. */
  async stop(): Promise<void> {
    this.ended.abort();
    this.unsubscribe?.();
    for (const { timer } of this.work.values()) clearTimeout(timer);
    await this.watching;
    await Promise.all(this.busy);
  }

  /** Looks at a run now, or again when that is going on. */
  look(runId: string, byList = false): void {
    if (this.ended.signal.aborted) return;
    const work = this.work.get(runId) ?? { running: false, again: false, byList: false, failures: 0 };
    this.work.set(runId, work);
    clearTimeout(work.timer);
    if (work.running) {
      work.again = true;
      return;
    }
    work.running = true;
    work.byList = byList;
    const done = this.turns
      .take(() => this.reconcileUntilCalm(runId, work))
      .finally(() => {
        this.busy.delete(done);
        work.running = false;
        this.parts.metrics.setPhases([...this.work.values()].flatMap(({ phase }) => phase ?? []));
      });
    this.busy.add(done);
  }

  private async watch(): Promise<void> {
    const { runs, relistIntervalMs } = this.parts;
    const options = { signal: this.ended.signal, ...(relistIntervalMs !== undefined && { relistIntervalMs }) };
    let listed = false;
    for await (const change of runs.watch('spec', options)) {
      if (change.type === 'put') this.look(change.entry.runId);
      else if (change.type === 'list') for (const { runId } of change.entries) this.look(runId, listed);
      else this.forget(change.runId);
      listed ||= change.type === 'list'; // the first list is how a life begins, not a correction
    }
  }

  /** Both sides are done with the run. */
  private forget(runId: string): void {
    const work = this.work.get(runId);
    if (work?.running) return;
    clearTimeout(work?.timer);
    this.work.delete(runId);
  }

  private async reconcileUntilCalm(runId: string, work: Work): Promise<void> {
    if (this.ended.signal.aborted) return;
    do {
      work.again = false;
      try {
        const waitMs = await this.reconcile(runId, work);
        work.failures = 0;
        if (waitMs !== undefined) this.lookIn(runId, work, waitMs);
      } catch (cause) {
        if (cause instanceof RevisionConflict) {
          work.again = true;
          continue;
        }
        this.parts.metrics.reconcileErrors.inc();
        this.parts.logger.error({ runId, err: cause }, 'A step of a run failed and is repeated');
        await this.tellHindrance(runId, cause).catch(() => undefined); // NATS is away too: told with the next try
        this.lookIn(runId, work, Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** work.failures++));
      }
    } while (work.again && !this.ended.signal.aborted);
  }

  private lookIn(runId: string, work: Work, waitMs: number): void {
    clearTimeout(work.timer);
    if (this.ended.signal.aborted) return;
    work.timer = setTimeout(() => this.look(runId), Math.min(Math.max(waitMs, 10), MAX_TIMER_MS));
    work.timer.unref();
  }

  /** Steps until nothing is left to do. @returns when to look again. */
  private async reconcile(runId: string, work: Work): Promise<number | undefined> {
    const { runs, metrics, logger } = this.parts;
    for (let step = 0; step < MAX_STEPS && !this.ended.signal.aborted; step++) {
      const started = performance.now();
      const spec = (await runs.get('spec', runId))?.value;
      const status = await runs.get('status', runId);
      if (status) work.phase = status.value.phase;
      if (!spec) return undefined;
      const action = await this.decide(spec, status?.value);
      if (action.type === 'none') {
        await this.passOnCheckpointRequest(spec, status?.value, work);
        return action.lookAgainInMs;
      }
      await this.apply(action, spec, status);
      if (work.byList) metrics.corrections.inc();
      work.byList = false;
      const durationMs = performance.now() - started;
      metrics.reconcileDuration.observe({ action: action.type }, durationMs / 1_000);
      logger.info({
        op: `run.${action.type}`,
        ok: true,
        runId,
        attempt: spec.attempt,
        durationMs: Math.round(durationMs),
      });
      if (action.type === 'remove') work.phase = 'ended';
    }
    return RETRY_MS;
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
    const { runs } = this.parts;
    const spec = (await runs.get('spec', runId))?.value;
    const entry = await runs.get('status', runId);
    const status = entry?.value;
    if (!spec || !entry || status?.attempt !== spec.attempt) return;
    if (status.phase === 'running' || status.phase === 'ended') return;
    const { reason, message, params, excerpt } = cause.explained;
    const told =
      status.phase === 'stopping' ? { reason: status.reason, message: status.message } : { reason, message, params };
    if (status.message === told.message && status.excerpt === excerpt) return;
    await this.write(spec, status, { phase: status.phase, ...told, excerpt }, entry.revision);
  }

  private async apply(action: Action, spec: RunSpec, entry: RunEntry<'status'> | undefined): Promise<void> {
    const { executor } = this.parts;
    const status = entry?.value.attempt === spec.attempt ? entry.value : undefined;
    const write: WriteStatus = (value) => this.write(spec, status, value, entry?.revision ?? 0);
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
  private async collect(spec: RunSpec, entry: RunEntry<'status'> | undefined): Promise<void> {
    const attempt =
      entry && entry.value.attempt < spec.attempt && !isTerminalPhase(entry.value.phase)
        ? entry.value.attempt
        : spec.attempt;
    const status = entry?.value.attempt === attempt ? entry.value : undefined;
    const { outcome, missing, explained } = await this.parts.executor.collect({ runId: spec.runId, attempt });
    const reason = terminalReason(spec, status, {
      code: outcome?.code,
      found: outcome !== undefined,
      missing,
      reason: explained?.reason,
    });
    const decided = decidedEnd(reason, status, outcome?.step);
    const told = decided ?? explained;
    await this.write(
      { ...spec, attempt },
      status,
      {
        phase: 'ended',
        reason,
        // How a process ends that is ended for a reason says less than the reason.
        message: decided?.message ?? outcome?.message ?? told?.message ?? LEFT_UNSAID[reason] ?? NOTHING_LEFT,
        params: told?.params,
        excerpt: told?.excerpt,
        endedAt: new Date().toISOString(),
        ...(outcome && { outcome }),
      },
      entry?.revision ?? 0,
    );
  }

  private async write(
    spec: RunSpec,
    before: RunStatus | undefined,
    change: StatusChange,
    revision: number,
  ): Promise<number> {
    const empty = { runId: spec.runId, attempt: spec.attempt, incarnation: 0, pods: [] };
    return this.parts.runs.compareAndSet(
      'status',
      { ...empty, ...before, ...change, observedGeneration: spec.generation },
      revision,
    );
  }

  private async passOnCheckpointRequest(spec: RunSpec, status: RunStatus | undefined, work: Work): Promise<void> {
    if (status?.phase !== 'running' && status?.phase !== 'starting') return;
    if (work.checkpointRequest === spec.checkpointRequest) return;
    work.checkpointRequest = spec.checkpointRequest;
    await this.parts.executor.checkpoint(keyOf(spec), spec.checkpointRequest);
  }
}

const NOTHING_LEFT = 'Nothing is left of the run that tells how it ended.';
const LEFT_UNSAID: Partial<Record<RunReason, string>> = {
  stopped: 'The run was stopped.',
  'deleted-externally': 'The object of the run was deleted outside the platform.',
};

/** An end that the trainer brought about; undefined: the attempt came to it by itself, or somebody stopped it. */
function decidedEnd(
  reason: RunReason,
  status: RunStatus | undefined,
  step: number | undefined,
): Pick<RunStatus, 'message' | 'params' | 'excerpt'> | undefined {
  if (status && reason === status.reason && isGivenUp(status)) return status;
  if (reason !== 'deadline-exceeded') return undefined;
  const at = step === undefined ? '' : ` at step ${step}`;
  const message = `Stopped at its time limit${at}; its last checkpoint is kept.`;
  return { message, ...(step !== undefined && { params: { step } }) };
}

const knownOf = (spec: RunSpec, status: RunStatus | undefined): Known => ({
  objectUid:
    (status?.attempt === spec.attempt ? status.objectUid : undefined) ??
    (spec.seen?.attempt === spec.attempt ? spec.seen.objectUid : undefined),
  profile: spec.profile,
});

const keyOf = ({ runId, attempt }: { runId: string; attempt: number }): AttemptKey => ({ runId, attempt });
