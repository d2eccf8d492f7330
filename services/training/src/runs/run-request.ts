import { runRequest } from '@luthier/contracts';
import type { Inventory, RunRequest } from '@luthier/contracts';
import type { Job } from '../jobs/job.js';
import { shareOn } from '../queue/share.js';

export type Profile = Inventory['profiles'][number];

const LEAST_STEPS_BETWEEN_CHECKPOINTS = 10;
const CHECKPOINTS_A_RUN = 10;
const KEPT_CHECKPOINTS = 2;

/**
 * A runtime chooses its way of spending memory by these; they are never less than what the run was planned with. Where
 * memory is planned on devices, what bounds the run beside is that of their machine.
 */
function memoryLimits({ memoryCapMib, plan }: Job, { memoryMib, hostMemoryMib }: Profile) {
  const capped = Math.min(memoryMib, Math.max(memoryCapMib ?? memoryMib, plan?.totalMib ?? 0));
  if (hostMemoryMib === undefined) return { memoryMib: capped };
  return { memoryMib: hostMemoryMib, ...(typeof memoryCapMib === 'number' && { deviceMemoryMib: capped }) };
}

/** What a job's run is asked to do on a profile. @throws ZodError when the job is not prepared (a programming fault). */
export function buildRunRequest(
  job: Job,
  profile: Profile,
  { deadlineSeconds, mode = 'train' }: { deadlineSeconds: number; mode?: 'train' | 'rehearse' },
): RunRequest {
  const steps = job.plan?.steps ?? 0;
  const { nodes, devicesPerNode } = shareOn(job.request, profile);
  return runRequest.parse({
    version: 1,
    owner: { kind: 'job', id: job.id },
    mode,
    method: job.request.method,
    tuning: job.tuning,
    hyperparameters: job.hyperparameters,
    parallelism: { nodes, devicesPerNode },
    checkpointing: {
      everySteps: Math.max(LEAST_STEPS_BETWEEN_CHECKPOINTS, Math.ceil(steps / CHECKPOINTS_A_RUN)),
      keepLast: KEPT_CHECKPOINTS,
    },
    limits: { ...memoryLimits(job, profile), cpu: Math.max(1, Math.floor(profile.cpus)), deadlineSeconds },
    seed: job.seed,
    ...(job.plan?.precision && { precision: job.plan.precision }),
    model: job.base?.weights,
    ...(job.startAdapter && { adapter: job.startAdapter.adapter }),
    data: {
      train: job.train?.artifact,
      ...(job.heldOut && { heldOut: job.heldOut.artifact }),
    },
  });
}
