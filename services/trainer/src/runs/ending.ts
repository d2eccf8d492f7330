import type { RunReason, RunSpec, RunStatus } from '@luthier/contracts';
import { isGivenUp, terminalReason } from './decide.js';
import type { Collected } from './run-executor.js';

type Told = Pick<RunStatus, 'message' | 'params' | 'excerpt'>;

const NOTHING_LEFT = 'Nothing is left of the run that tells how it ended.';
const LEFT_UNSAID: Partial<Record<RunReason, string>> = {
  stopped: 'The run was stopped.',
  'deleted-externally': 'The object of the run was deleted outside the platform.',
};

/** The terminal status of an attempt, from what was wanted, what was said of it before, and what it left. Pure. */
export function endOf(
  spec: RunSpec,
  status: RunStatus | undefined,
  { outcome, missing, explained }: Collected,
): Pick<RunStatus, 'phase' | 'reason'> & Told & Partial<Pick<RunStatus, 'outcome'>> {
  const reason = terminalReason(spec, status, {
    code: outcome?.code,
    found: outcome !== undefined,
    missing,
    reason: explained?.reason,
  });
  const decided = decidedEnd(reason, status, outcome?.step);
  const told: Partial<Told> = decided ?? explained ?? {};
  return {
    ...{ phase: 'ended', reason },
    // How a process ends that is ended for a reason says less than the reason.
    message: decided?.message ?? outcome?.message ?? told.message ?? LEFT_UNSAID[reason] ?? NOTHING_LEFT,
    ...{ params: told.params, excerpt: told.excerpt },
    ...(outcome && { outcome }),
  };
}

/** An end that the trainer brought about; undefined: the attempt came to it by itself, or somebody stopped it. */
function decidedEnd(reason: RunReason, status: RunStatus | undefined, step: number | undefined): Told | undefined {
  if (status && reason === status.reason && isGivenUp(status)) return status;
  if (reason !== 'deadline-exceeded') return undefined;
  const at = step === undefined ? '' : ` at step ${step}`;
  const message = `Stopped at its time limit${at}; its last checkpoint is kept.`;
  return { message, ...(step !== undefined && { params: { step } }) };
}
