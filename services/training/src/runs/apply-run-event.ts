import type { RunLine, RuntimeEvent } from '@luthier/contracts';
import { allStepsMade, attemptStarted, isRehearsing } from '../jobs/job.js';
import type { Job, JobProgress } from '../jobs/job.js';
import type { Incarnation, JobTransaction, MetricPoint, NewEvent } from '../jobs/job.store.js';
import { moveTo } from './run-phase.js';
import { isSetBack } from './run.js';

/** How often progress is put into the live stream at most. */
const TELL_EVERY_MS = 1_000;
/** Metrics events in a job's event list, at most. */
const METRIC_EVENTS = 50;

type StepEvent = Extract<RuntimeEvent, { type: 'step' }>;
type EvaluationEvent = Extract<RuntimeEvent, { type: 'evaluation' }>;
type StartedEvent = Extract<RuntimeEvent, { type: 'started' }>;

/** The lines of a stored events file that count for the curve, in their order. */
export interface StoredLines {
  started: StartedEvent | undefined;
  steps: StepEvent[];
  evaluations: EvaluationEvent[];
}

/** The points of a curve that one line carries. */
function pointsOf(event: RuntimeEvent): MetricPoint[] {
  if (event.type === 'step') {
    const { step, loss, learningRate, gradNorm, stepMs, tokens, memory, metrics } = event;
    return named(step, {
      ...metrics,
      loss,
      learningRate,
      gradNorm,
      stepMs,
      memoryMib: memory.deviceMib ?? memory.hostMib,
      ...(stepMs > 0 && { tokensPerSecond: (tokens * 1000) / stepMs }),
    });
  }
  if (event.type === 'evaluation') {
    const { step, loss, tokenAccuracy, perplexity, metrics } = event;
    return named(step, {
      ...metrics,
      evaluationLoss: loss,
      ...(tokenAccuracy !== undefined && { evaluationTokenAccuracy: tokenAccuracy }),
      ...(perplexity !== undefined && { evaluationPerplexity: perplexity }),
    });
  }
  return [];
}

const named = (step: number, values: Record<string, number>): MetricPoint[] =>
  Object.entries(values).map(([name, value]) => ({ step, name, value }));

/**
 * What one line of a run changes. Idempotent: a line that was applied already changes nothing. The caller holds the lock
 * and has checked that the run is the job's and not finished.
 */
export async function applyRunEvent(
  tx: JobTransaction,
  { runId, attempt, incarnation, event }: RunLine,
): Promise<void> {
  const pair = { attempt, incarnation };
  if (isRehearsing(tx.job)) return applyRehearsalEvent(tx, attempt, event);
  switch (event.type) {
    case 'started':
      return started(tx, runId, pair, event);
    case 'step':
      return step(tx, runId, pair, event);
    case 'evaluation':
      return evaluation(tx, runId, pair, event);
    case 'checkpoint-stored': {
      const { step: at, uri, sha256, time } = event;
      await tx.addCheckpoint(runId, pair, { step: at, uri, sha256, createdAt: time });
      return;
    }
    case 'phase':
      if (isCurrent(tx, attempt)) await advance(tx, incarnation, PHASE_OF[event.phase]);
      return;
    case 'warning':
      if (isCurrent(tx, attempt)) await tx.event({ level: 'warn', type: 'message', message: event.message });
      return;
    case 'checkpoint': // counts when it is stored
    case 'heartbeat':
    case 'result': // the outcome has it
    case 'failed':
      return;
  }
}

/** Of a rehearsal counts what it takes and what it warns of; its steps are no curve. */
async function applyRehearsalEvent(tx: JobTransaction, attempt: number, event: RunLine['event']): Promise<void> {
  if (!isCurrent(tx, attempt)) return;
  const { job } = tx;
  switch (event.type) {
    case 'started':
      return tx.saveJob(attemptStarted(job, attempt, event.time, null));
    case 'phase':
      return moveTo(tx, 'starting');
    case 'warning':
      return tx.event({ level: 'warn', type: 'message', message: event.message });
    case 'step': {
      const { rehearsal } = job;
      if (!rehearsal) return;
      const { deviceMib, hostMib } = event.memory;
      const peakMib = Math.max(rehearsal.peakMib, deviceMib ?? hostMib);
      return tx.saveJob({ ...job, rehearsal: { ...rehearsal, peakMib } }, { tell: false });
    }
    default:
      return;
  }
}

const PHASE_OF = {
  loading: 'starting',
  'scoring-base': 'starting',
  training: 'training',
  saving: 'saving',
  'scoring-tuned': 'saving',
} as const;

/** What comes late from a set that was taken away does not say where the run is now. */
async function advance(tx: JobTransaction, incarnation: number, phase: Parameters<typeof moveTo>[1]): Promise<void> {
  if (tx.run && isSetBack(tx.run, incarnation)) return;
  if (phase === 'saving') await tx.saveJob({ ...tx.job, progress: allStepsMade(tx.job.progress) }, { tell: false });
  await moveTo(tx, phase);
}

const isCurrent = (tx: JobTransaction, attempt: number): boolean => tx.run?.attempt === attempt && tx.run.live;

async function started(tx: JobTransaction, runId: string, pair: Incarnation, event: StartedEvent): Promise<void> {
  if (!(await tx.begin(runId, pair, event.resumeStep))) return;
  await tx.saveJob(attemptStarted(tx.job, pair.attempt, event.time, event.resumeStep > 0 ? event.resumeStep : null));
  if (!isCurrent(tx, pair.attempt)) return;
  await tx.event({
    level: 'info',
    type: 'message',
    message:
      event.resumeStep > 0
        ? `Training goes on from step ${event.resumeStep} on ${event.device}`
        : `Training started on ${event.device}`,
  });
}

async function step(tx: JobTransaction, runId: string, pair: Incarnation, event: StepEvent): Promise<void> {
  const stored = await tx.addPoints(runId, pair, pointsOf(event));
  if (stored.length === 0 || !isCurrent(tx, pair.attempt)) return;
  if (tx.run && tx.run.firstStepAt === null) await tx.saveRun({ ...tx.run, firstStepAt: event.time });
  await advance(tx, pair.incarnation, 'training');
  const now = Date.now();
  const tell = isLast(event) || now - tx.job.progressToldAtMs >= TELL_EVERY_MS;
  if (!isOvertaken(tx.job, pair, event)) {
    const job: Job = {
      ...tx.job,
      ...{ progress: progressAfter(tx.job.progress, event), progressOf: pair },
      ...(tell && { progressToldAtMs: now }),
    };
    await tx.saveJob(job, { tell });
  }
  if (isToldAsEvent(event)) await tx.event(stepEventOf(event));
}

/** Two replicas may handle two lines of a run at the same time: what is shown does not go back. */
const isOvertaken = ({ progress, progressOf }: Job, pair: Incarnation, event: StepEvent): boolean =>
  progressOf?.attempt === pair.attempt &&
  progressOf.incarnation === pair.incarnation &&
  (progress?.step ?? 0) > event.step;

const isLast = ({ step, totalSteps }: StepEvent): boolean => step >= totalSteps;
const isToldAsEvent = (event: StepEvent): boolean =>
  isLast(event) || event.step % Math.max(1, Math.ceil(event.totalSteps / METRIC_EVENTS)) === 0;

/** The curve of one process set as its runner left it: fills what the run stream lost. Idempotent. */
export async function fillFromStored(
  tx: JobTransaction,
  runId: string,
  pair: Incarnation,
  stored: StoredLines,
): Promise<void> {
  if (stored.started) await started(tx, runId, pair, stored.started);
  const points = [...stored.steps, ...stored.evaluations].flatMap(pointsOf);
  const added = new Set((await tx.addPoints(runId, pair, points)).map(({ step }) => step));
  if (added.size === 0) return;
  // Of a short run the end may be known before any of its lines.
  if (isCurrent(tx, pair.attempt)) await advance(tx, pair.incarnation, 'training');
  let { progress } = tx.job;
  for (const event of stored.steps) {
    if (!added.has(event.step)) continue;
    progress = progressAfter(progress, event);
    if (isToldAsEvent(event)) await tx.event(stepEventOf(event));
  }
  await tx.saveJob({ ...tx.job, progress }, { tell: false });
}

const SMOOTHING = 0.2;

/** Speed and time left from a running mean: single steps differ by row length. */
function progressAfter(before: JobProgress | null, event: StepEvent): JobProgress {
  const speed = event.stepMs > 0 ? (event.tokens * 1000) / event.stepMs : null;
  const old = before?.tokensPerSecond ?? null;
  const tokensPerSecond = speed === null ? old : old === null ? speed : old + SMOOTHING * (speed - old);
  const oldStepSeconds =
    before?.secondsLeft != null && before.totalSteps > before.step
      ? before.secondsLeft / (before.totalSteps - before.step)
      : null;
  const stepSeconds =
    oldStepSeconds === null ? event.stepMs / 1000 : oldStepSeconds + SMOOTHING * (event.stepMs / 1000 - oldStepSeconds);
  return {
    step: event.step,
    totalSteps: event.totalSteps,
    epoch: event.epoch,
    loss: event.loss,
    tokensPerSecond,
    secondsLeft: Math.max(0, stepSeconds * (event.totalSteps - event.step)),
    memoryMib: event.memory.deviceMib ?? event.memory.hostMib,
  };
}

const stepEventOf = (event: StepEvent): NewEvent => ({
  level: 'info',
  type: 'metrics',
  message: `Step ${event.step}/${event.totalSteps}: training loss=${event.loss.toFixed(2)}`,
  data: { step: event.step, total_steps: event.totalSteps, train_loss: event.loss },
});

async function evaluation(tx: JobTransaction, runId: string, pair: Incarnation, event: EvaluationEvent): Promise<void> {
  const stored = await tx.addPoints(runId, pair, pointsOf(event));
  if (stored.length === 0 || !isCurrent(tx, pair.attempt)) return;
  await tx.event({
    level: 'info',
    type: 'metrics',
    message: `Step ${event.step}: validation loss=${event.loss.toFixed(2)}`,
    data: {
      ...{ step: event.step, valid_loss: event.loss },
      ...(event.tokenAccuracy !== undefined && { valid_mean_token_accuracy: event.tokenAccuracy }),
    },
  });
}
