import type { JobPhase, RunPhase } from '@luthier/contracts';
import { isInRun, move } from '../jobs/job.js';
import type { JobTransaction } from '../jobs/job.store.js';

type PhaseOfRun = Extract<JobPhase, 'scheduling' | 'starting' | 'training' | 'saving'>;

const ORDER: readonly JobPhase[] = ['scheduling', 'starting', 'training', 'saving'];
const MESSAGES: Readonly<Record<PhaseOfRun, string>> = {
  scheduling: 'The run is being placed',
  starting: 'Loading model and data',
  training: 'Training',
  saving: 'Saving and scoring the model',
};

/** The least that a status of the trainer says about the job's phase; what the run itself says goes further. */
export function phaseOfStatus(phase: RunPhase): PhaseOfRun | undefined {
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

/** Forward only: within one attempt nothing goes back (a new attempt begins at `scheduling` by itself). */
export async function moveTo(tx: JobTransaction, phase: PhaseOfRun): Promise<void> {
  const { job } = tx;
  if (job.status !== 'running' || !isInRun(job) || ORDER.indexOf(phase) <= ORDER.indexOf(job.phase)) return;
  const message = job.intent === 'run' ? MESSAGES[phase] : job.message;
  await tx.saveJob(move(job, { phase, message }));
}
