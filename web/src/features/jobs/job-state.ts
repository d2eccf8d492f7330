import type { StepState, Tone } from '@luthier/ui';
import type { Job } from '../../lib/api/jobs';

/** What a reader tells apart; `queued` to `starting` are one wait. Not every job has a rehearsal. */
const STAGES = [
  'validating',
  'preparing',
  'planning',
  'rehearsing',
  'waiting',
  'training',
  'saving',
  'registering',
  'evaluating',
] as const;
export type Stage = (typeof STAGES)[number];

export const isOver = (status: Job['status']): boolean =>
  status === 'succeeded' || status === 'failed' || status === 'cancelled';

const IN_RUN: readonly Job['phase'][] = ['scheduling', 'starting', 'training', 'saving'];
type Standing = Pick<Job, 'status' | 'phase' | 'message'>;
const isInRun = ({ status, phase }: Standing): boolean => status === 'running' && IN_RUN.includes(phase);
/** As the platform allows it: what waits or runs and was not asked to stop. */
export const canPause = (job: Standing): boolean =>
  job.status === 'queued' || (isInRun(job) && !/^(Pausing|Cancelling)$/.test(job.message));
/** As the platform allows it: an attempt is there that nobody has asked to end. */
export const canRestart = (job: Standing): boolean =>
  isInRun(job) && !/^(Pausing|Cancelling|Restarting)$/.test(job.message);
/** What carries the run is in trouble, and it may take long until the platform gives it up by itself. */
export const isInTrouble = (job: Standing & Pick<Job, 'placement'>): boolean =>
  canRestart(job) && ['node-lost', 'stalled'].includes(job.placement?.reason ?? '');

const STATUS_TONES: Record<Job['status'], Tone> = {
  validating_files: 'accent',
  queued: 'neutral',
  running: 'accent',
  paused: 'warn',
  succeeded: 'good',
  failed: 'bad',
  cancelled: 'neutral',
};
export const statusTone = (status: Job['status']): Tone => STATUS_TONES[status];

type Progressing = Pick<Job, 'status' | 'phase' | 'rehearsal'>;

/** What of its run there is now is the rehearsal. */
const isRehearsing = ({ phase, rehearsal }: Progressing): boolean =>
  rehearsal?.state === 'running' && (phase === 'queued' || IN_RUN.includes(phase));

function stageOf(job: Progressing): Stage | 'done' {
  const { phase } = job;
  if (isRehearsing(job)) return 'rehearsing';
  if (phase === 'queued' || phase === 'scheduling' || phase === 'starting') return 'waiting';
  return phase;
}

/** Which stages are behind the job, which one it is at, and where it broke. */
export function stageStates(job: Progressing): { stage: Stage; state: StepState }[] {
  const { status } = job;
  const stages: readonly Stage[] = job.rehearsal ? STAGES : STAGES.filter((stage) => stage !== 'rehearsing');
  const at = stageOf(job);
  const index = at === 'done' ? stages.length : stages.indexOf(at);
  // A job that failed or was cancelled may say `done`; then nothing is known of where, and nothing is claimed.
  return stages.map((stage, position) => {
    if (status === 'succeeded' || position < index) return { stage, state: 'done' };
    if (position > index) return { stage, state: 'ahead' };
    if (status === 'failed') return { stage, state: 'failed' };
    return { stage, state: isOver(status) ? 'ahead' : 'current' };
  });
}

/** Share of the training steps that are done, from 0 to 1; null before the first. */
export function progressShare(job: Pick<Job, 'status' | 'progress'>): number | null {
  if (job.status === 'succeeded') return 1;
  return job.progress && job.progress.total_steps > 0 ? job.progress.step / job.progress.total_steps : null;
}
