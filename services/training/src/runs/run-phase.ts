import { isDeepStrictEqual } from 'node:util';
import type { JobPhase, JobPlacement, RunPhase, RunReason, RunStatus } from '@luthier/contracts';
import { isInRun, isRehearsing, move } from '../jobs/job.js';
import type { Job } from '../jobs/job.js';
import type { JobTransaction } from '../jobs/job.store.js';

type PhaseOfRun = Extract<JobPhase, 'scheduling' | 'starting' | 'training' | 'saving'>;

const ORDER: readonly JobPhase[] = ['scheduling', 'starting', 'training', 'saving'];
const MESSAGES: Readonly<Record<PhaseOfRun, string>> = {
  scheduling: 'The run is being placed',
  starting: 'Loading model and data',
  training: 'Training',
  saving: 'Saving and scoring the model',
};

/** What a job's run is doing. */
const sentenceOf = (job: Job, phase: PhaseOfRun): string =>
  phase === 'starting' && isRehearsing(job) ? 'Rehearsing the run with its longest rows' : MESSAGES[phase];

/** The least that a status of the trainer says about the job's phase; what the run itself says goes further. */
function phaseOfStatus(phase: RunPhase): PhaseOfRun | undefined {
  switch (phase) {
    case 'queued':
    case 'scheduling':
    case 'creating':
      return 'scheduling';
    case 'starting':
    case 'running':
      return 'starting';
    case 'stopping':
    case 'ended':
      return undefined;
  }
}

/** Forward only: within one attempt only a queue outside sets back (a new attempt begins at `scheduling` by itself). */
export async function moveTo(tx: JobTransaction, phase: PhaseOfRun): Promise<void> {
  const { job } = tx;
  if (job.status !== 'running' || !isInRun(job) || ORDER.indexOf(phase) <= ORDER.indexOf(job.phase)) return;
  const message = job.intent === 'run' ? sentenceOf(job, phase) : job.message;
  // What it waited for is over when it says itself that it is further; what carries it may still be in trouble.
  const placement = tx.run?.status?.phase === 'running' ? (job.placement ?? null) : null;
  await tx.saveJob(move(job, { phase, message }, { placement }));
}

/** These say no more than the phase, or the outcome says it better. */
const PLAIN: readonly RunReason[] = [
  'process-starting',
  'process-running',
  'stop-requested',
  'succeeded',
  'stopped',
  'failed',
];

/** What a status says beyond its phase; null: nothing. */
const placementOf = ({ reason, params, message, excerpt }: RunStatus): JobPlacement | null =>
  PLAIN.includes(reason) ? null : { reason, params: params ?? {}, message, excerpt: excerpt ?? null };

/** A queue outside has taken the place of a run that had begun: it waits again, and goes on with other processes. */
async function setBack(tx: JobTransaction): Promise<void> {
  const { job } = tx;
  if (job.status !== 'running' || !isInRun(job) || job.phase === 'scheduling') return;
  const message = job.intent === 'run' ? MESSAGES.scheduling : job.message;
  await tx.saveJob(move(job, { phase: 'scheduling', message }));
}

/** Brings a status to the job: its phase, and why it waits or ended. */
export async function tellStatus(tx: JobTransaction, status: RunStatus): Promise<void> {
  const phase = phaseOfStatus(status.phase);
  if (status.phase === 'queued') await setBack(tx);
  if (phase !== undefined) await moveTo(tx, phase);
  const { job } = tx;
  const placement = placementOf(status);
  if (job.status !== 'running' || !isInRun(job) || isDeepStrictEqual(placement, job.placement ?? null)) return;
  const waits = phase !== undefined && job.intent === 'run' && (job.phase === 'scheduling' || job.phase === 'starting');
  const message = waits ? (placement?.message ?? sentenceOf(job, job.phase)) : job.message;
  await tx.saveJob(move(job, { message }, { placement }));
}
