import { ERRORS, FOLLOW_UP_PRIORITY, PRIORITIES, isTerminalJobStatus } from '@luthier/contracts';
import type {
  ArtifactRef,
  ErrorCode,
  Hyperparameters,
  JobPhase,
  JobPlacement,
  JobRecord,
  JobRequest,
  JobStatus,
  ModelRecord,
  ModelShape,
  Plan,
  PlanNote,
  Tuning,
} from '@luthier/contracts';
import type { AutomaticChange, Diagnosis } from '@luthier/planner';

export type JobAttempt = JobRecord['attempts'][number];
export type JobProgress = NonNullable<JobRecord['progress']>;
type JobResult = NonNullable<JobRecord['result']>;

/** What training remembers of a prepared dataset. */
export interface PreparedData {
  readonly id: string;
  readonly rows: number;
  readonly tokens: number;
  readonly trainedTokens: number;
  readonly longestRowTokens: number;
  readonly longestPassTokens: number;
  readonly artifact: ArtifactRef;
}

export interface BaseModel {
  readonly id: string;
  readonly name: string;
  /** Null until it is imported. */
  readonly weights: ArtifactRef | null;
  readonly shape: ModelShape | null;
}

export const baseModelOf = ({ id, name, files, shape }: ModelRecord): BaseModel => ({
  id,
  name,
  weights: files?.form === 'whole' ? files.weights : null,
  shape,
});

/** A tuned model's adapter that a job goes on from. */
export interface StartAdapter {
  readonly modelId: string;
  readonly name: string;
  readonly adapter: ArtifactRef;
}

/** A run that tries the hardest steps before the run itself. */
export interface Rehearsal {
  readonly runId: string;
  readonly state: 'running' | 'done';
  /** The most memory that its steps have told of so far. */
  readonly peakMib: number;
  readonly measured: NonNullable<Plan['measured']> | null;
}

/** A fine-tuning job. Plain immutable data; only the functions of this file make new versions of it. */
export interface Job {
  readonly id: string;
  readonly status: JobStatus;
  readonly phase: JobPhase;
  readonly message: string;
  /** Rises with every change of the lifecycle (not of progress): whoever decided on an older one decides again. */
  readonly revision: number;
  readonly createdAt: string;
  readonly finishedAt: string | null;
  /** The request that made it, as a `traceparent`; null or absent where nothing was traced. */
  readonly trace?: string | null;
  /** When it came into its phase; absent in jobs of before this was kept. */
  readonly phaseSince?: string;
  readonly request: JobRequest;
  readonly seed: number;
  readonly tuning: Tuning;
  readonly hyperparameters: Hyperparameters;
  readonly cutoffLength: number;
  readonly advice: readonly PlanNote[];
  readonly base: BaseModel | null;
  /** Null, or absent in jobs of before there was such a thing: it starts from the base's weights alone. */
  readonly startAdapter?: StartAdapter | null;
  readonly trainDatasetId: string | null;
  readonly heldOutDatasetId: string | null;
  readonly train: PreparedData | null;
  readonly heldOut: PreparedData | null;
  readonly plan: Plan | null;
  readonly runId: string | null;
  /** Absent in jobs of before there was such a thing. */
  readonly rehearsal?: Rehearsal | null;
  /** What the user asked for last; it takes effect when the live attempt has ended. */
  readonly intent: 'run' | 'cancel' | 'pause' | 'restart';
  readonly progress: JobProgress | null;
  /** The set of processes that has made it; absent in jobs of before this was kept. */
  readonly progressOf?: { readonly attempt: number; readonly incarnation: number } | null;
  /** What the trainer says of the run; absent in jobs of before there was such a thing. */
  readonly placement?: JobPlacement | null;
  /** When progress was last put into the live stream, in ms since 1970. */
  readonly progressToldAtMs: number;
  readonly attempts: readonly JobAttempt[];
  readonly trainedTokens: number | null;
  readonly result: JobResult | null;
  readonly artifact: ArtifactRef | null;
  readonly tunedModelId: string | null;
  readonly fineTunedModel: string | null;
  readonly evaluationId: string | null;
  readonly evaluatingSince: string | null;
  /** Times that the run was made smaller after it ran out of memory (`autoFix`). */
  readonly fixes: number;
  /** What its runs may take at most after one ran out of memory; null: what their profile gives. */
  readonly memoryCapMib?: number | null;
  readonly error: Diagnosis | null;
}

/** From a status to those that may follow it. Terminal ones lead nowhere. */
export const STATUS_TRANSITIONS: Readonly<Record<JobStatus, readonly JobStatus[]>> = {
  validating_files: ['queued', 'failed', 'cancelled'],
  queued: ['running', 'paused', 'failed', 'cancelled'],
  running: ['queued', 'paused', 'succeeded', 'failed', 'cancelled'],
  paused: ['queued', 'failed', 'cancelled'],
  succeeded: [],
  failed: [],
  cancelled: [],
};

/** Those in which a job has a run under way. */
export const RUN_PHASES: readonly JobPhase[] = ['scheduling', 'starting', 'training', 'saving'];

/**
 * From a phase to those that may follow it. Within a run they go back when a new attempt is made, and further when it is
 * made smaller.
 */
const PHASE_TRANSITIONS: Readonly<Record<JobPhase, readonly JobPhase[]>> = {
  validating: ['preparing'],
  preparing: ['planning'],
  planning: ['queued'],
  queued: ['scheduling'],
  scheduling: [...RUN_PHASES, 'queued', 'preparing', 'registering'],
  starting: [...RUN_PHASES, 'queued', 'preparing', 'registering'],
  training: [...RUN_PHASES, 'queued', 'preparing', 'registering'],
  saving: [...RUN_PHASES, 'queued', 'preparing', 'registering'],
  registering: ['evaluating'],
  evaluating: ['done'],
  done: [],
};

export class IllegalTransition extends Error {
  override readonly name = 'IllegalTransition';
}

export const priorityOf = ({ request }: Pick<Job, 'request'>): number => PRIORITIES[request.priority ?? 'normal'];

/** Place in the queue, the highest first, the oldest of equal ones first: what is made once more comes before what is new. */
export const rankOf = (job: Pick<Job, 'request' | 'fixes' | 'rehearsal'>): number =>
  priorityOf(job) + (job.fixes > 0 || job.rehearsal?.state === 'done' ? FOLLOW_UP_PRIORITY : 0);

export const isFinished = (job: Job): boolean => isTerminalJobStatus(job.status);
/** Whether the run that the job names is its rehearsal. */
export const isRehearsing = ({ rehearsal, runId }: Pick<Job, 'rehearsal' | 'runId'>): boolean =>
  rehearsal?.state === 'running' && rehearsal.runId === runId;

export const isInRun = (job: Job): boolean => RUN_PHASES.includes(job.phase);

interface Move {
  status?: JobStatus;
  phase?: JobPhase;
  message: string;
}

/** The only way from one state to another. @throws IllegalTransition for a move that the tables do not list. */
export function move(job: Job, to: Move, patch: Partial<Job> = {}): Job {
  const status = to.status ?? job.status;
  const phase = to.phase ?? job.phase;
  if (isFinished(job)) throw new IllegalTransition(`${job.id} has ended as ${job.status}`);
  if (status !== job.status && !STATUS_TRANSITIONS[job.status].includes(status)) {
    throw new IllegalTransition(`${job.id}: ${job.status} -> ${status}`);
  }
  if (phase !== job.phase && !PHASE_TRANSITIONS[job.phase].includes(phase)) {
    throw new IllegalTransition(`${job.id}: ${job.phase} -> ${phase}`);
  }
  return { ...job, ...patch, status, phase, message: to.message, revision: job.revision + 1 };
}

export const validated = (
  job: Job,
  patch: Pick<Job, 'base' | 'startAdapter' | 'tuning' | 'hyperparameters' | 'cutoffLength' | 'advice'>,
): Job => move(job, { phase: 'preparing', message: 'Preparing the datasets' }, patch);

export const prepared = (job: Job, train: PreparedData, heldOut: PreparedData | null): Job =>
  move(job, { phase: 'planning', message: 'Planning memory and time' }, { train, heldOut });

export const queued = (job: Job, plan: Plan | null, runId: string): Job =>
  move(job, { status: 'queued', phase: 'queued', message: 'Waiting for a place to run' }, { plan, runId });

export const admitted = (job: Job, plan: Plan, attempt: number): Job =>
  move(
    job,
    { status: 'running', phase: 'scheduling', message: 'The run is being placed' },
    { plan, attempts: [...job.attempts, newAttempt(attempt, null)] },
  );

/** The run that was admitted is the rehearsal. */
export const rehearsing = (job: Job, runId: string): Job => ({
  ...job,
  rehearsal: { runId, state: 'running', peakMib: 0, measured: null },
});

/** The run itself, after its rehearsal. */
export const rehearsed = (job: Job, runId: string, rehearsal: Rehearsal): Job =>
  move(
    job,
    { status: 'queued', phase: 'queued', message: 'The rehearsal has succeeded; waiting for a place to run' },
    { runId, rehearsal, intent: 'run', progress: null, attempts: [] },
  );

const newAttempt = (attempt: number, resumedFromStep: number | null): JobAttempt => ({
  attempt,
  startedAt: null,
  endedAt: null,
  code: null,
  message: '',
  resumedFromStep,
});

const updateAttempt = (job: Job, attempt: number, patch: Partial<JobAttempt>): readonly JobAttempt[] =>
  job.attempts.map((each) => (each.attempt === attempt ? { ...each, ...patch } : each));

export const attemptStarted = (job: Job, attempt: number, startedAt: string, resumedFromStep: number | null): Job => ({
  ...job,
  attempts: updateAttempt(job, attempt, { startedAt, ...(resumedFromStep !== null && { resumedFromStep }) }),
});

export const attemptEnded = (
  job: Job,
  attempt: number,
  end: { endedAt: string; code: ErrorCode | null; message: string },
): Job => ({ ...job, attempts: updateAttempt(job, attempt, end) });

/** A new attempt of the same run, from its newest checkpoint. */
export const retried = (job: Job, attempt: number, code: ErrorCode, fromStep: number | null): Job =>
  move(
    job,
    {
      phase: 'scheduling',
      message: `${ERRORS[code].title}; attempt ${attempt} goes on from ${stepName(fromStep)}`,
    },
    { attempts: [...job.attempts, newAttempt(attempt, fromStep)] },
  );

/** Once more as a smaller run (`autoFix`): from the queue, or from the datasets where rows become shorter. */
export function shrunk(job: Job, runId: string, to: AutomaticChange): Job {
  const { tuning, hyperparameters, cutoffLength, memoryCapMib } = to;
  const patch = { tuning, hyperparameters, cutoffLength, memoryCapMib };
  const again = cutoffLength === job.cutoffLength;
  return move(
    job,
    {
      status: 'queued',
      phase: again ? 'queued' : 'preparing',
      message: `The run ran out of memory; trying again: ${to.title.toLowerCase()}, about ${to.totalMib} MiB`,
    },
    { ...patch, runId: again ? runId : null, progress: null, attempts: [], fixes: job.fixes + 1 },
  );
}

export const stopAsked = (job: Job, intent: 'cancel' | 'pause'): Job =>
  move(job, { message: intent === 'cancel' ? 'Cancelling' : 'Pausing' }, { intent });

export const restartAsked = (job: Job): Job => move(job, { message: 'Restarting' }, { intent: 'restart' });

/** The attempt that goes on after one was ended by order. */
export const restarted = (job: Job, attempt: number, fromStep: number | null): Job =>
  move(
    job,
    { phase: 'scheduling', message: `Attempt ${attempt} goes on from ${stepName(fromStep)}` },
    { intent: 'run', attempts: [...job.attempts, newAttempt(attempt, fromStep)] },
  );

export const stepName = (step: number | null): string => (step === null ? 'the start' : `step ${step}`);

export const paused = (job: Job, fault: string | null): Job =>
  move(
    job,
    { status: 'paused', phase: 'queued', message: fault === null ? 'Paused' : `Paused. ${fault}` },
    { intent: 'run' },
  );

export const resumed = (job: Job): Job =>
  move(job, { status: 'queued', message: 'Waiting for a place to run' }, { intent: 'run' });

export const cancelled = (job: Job, now: string, fault: string | null): Job =>
  move(
    job,
    { status: 'cancelled', message: fault === null ? 'Cancelled' : `Cancelled. ${fault}` },
    { intent: 'cancel', finishedAt: now },
  );

export const failed = (job: Job, now: string, error: Diagnosis): Job =>
  move(job, { status: 'failed', message: error.message }, { error, finishedAt: now });

/** Training is over, be it before all the steps that were planned: those made are all there are. */
export const allStepsMade = (progress: JobProgress | null, steps = progress?.step ?? 0): JobProgress | null =>
  progress && { ...progress, step: steps, totalSteps: steps, secondsLeft: 0 };

export const trained = (job: Job, patch: Pick<Job, 'result' | 'artifact' | 'trainedTokens' | 'progress'>): Job =>
  move(job, { phase: 'registering', message: 'Registering the model' }, patch);

export const registered = (job: Job, model: { id: string; name: string }, now: string): Job =>
  move(
    job,
    { phase: 'evaluating', message: 'Comparing the model with its base' },
    { tunedModelId: model.id, fineTunedModel: model.name, evaluatingSince: now },
  );

export const evaluationBegun = (job: Job, evaluationId: string): Job => ({ ...job, evaluationId });

export const done = (job: Job, now: string, message: string): Job =>
  move(job, { status: 'succeeded', phase: 'done', message }, { finishedAt: now });
