import { Injectable } from '@nestjs/common';
import { AppError, getInventory, newId } from '@luthier/contracts';
import type { Inventory, Plan } from '@luthier/contracts';
import { MessageBus } from '@luthier/messaging';
import { planRun } from '@luthier/planner';
import { capableProfiles, whyUnsupported } from '../../queue/admission.js';
import type { Profile } from '../../queue/admission.js';
import { queued } from '../job.js';
import type { Job } from '../job.js';
import { planInputOf } from '../plan-input.js';
import { PhaseStep, change, failJob } from './step.js';
import type { StepOutcome } from './step.js';

export interface PlacedPlan {
  readonly plan: Plan;
  readonly profile: Profile | undefined;
}

/** The best that the inventory offers: the first capable profile that fits, else the largest. */
export function planJobRun(job: Job, inventory: Inventory | undefined): PlacedPlan {
  const { base } = job;
  const input = planInputOf(job);
  if (!base?.shape || !input) {
    throw new AppError('internal', undefined, { cause: new Error(`${job.id} is not prepared`) });
  }
  const profiles = inventory
    ? capableProfiles(inventory, {
        method: job.request.method.type,
        tuning: job.tuning.type,
        architecture: base.shape.architecture,
      })
    : [];
  const notes = job.advice.map(({ field, note }) => `${field}: ${note}`);
  const candidates = (profiles.length > 0 ? profiles : [undefined]).map((profile) => {
    const plan = planRun({ ...input, profile });
    return { profile, plan: { ...plan, notes: [...plan.notes, ...notes] } };
  });
  const best = ['fits', 'waits', 'can-never-fit', 'unknown'].flatMap((verdict) =>
    candidates.filter(({ plan }) => plan.verdict === verdict),
  )[0];
  if (!best) throw new AppError('internal', undefined, { cause: new Error('no plan was made') });
  return best;
}

/** What there is to run on; undefined while the trainer does not answer. */
export async function inventoryOf(bus: MessageBus): Promise<Inventory | undefined> {
  try {
    return await bus.request(getInventory, {});
  } catch {
    return undefined;
  }
}

/** Fails what can never fit or is not supported; everything else waits in the queue for its place. */
export async function refuse(tx: Parameters<typeof failJob>[0], plan: Plan): Promise<void> {
  await tx.saveJob({ ...tx.job, plan }, { tell: false });
  const options = plan.alternatives.map(({ title, totalMib }) => `${title} (${totalMib} MiB)`);
  const message = options.length > 0 ? `${plan.message} What would fit: ${options.join('; ')}.` : plan.message;
  await failJob(tx, { code: 'plan.does-not-fit', message });
}

@Injectable()
export class PlanAndQueue extends PhaseStep {
  constructor(private readonly bus: MessageBus) {
    super();
  }

  override async look(job: Job): Promise<StepOutcome> {
    const inventory = await inventoryOf(this.bus);
    const wish = {
      method: job.request.method.type,
      tuning: job.tuning.type,
      architecture: job.base?.shape?.architecture ?? null,
    };
    const unsupported = inventory && whyUnsupported(inventory, wish);
    if (unsupported) return change((tx) => failJob(tx, { code: 'model.unsupported', message: unsupported.message }));
    const { plan } = planJobRun(job, inventory);
    if (plan.verdict === 'can-never-fit') return change((tx) => refuse(tx, plan));
    const runId = newId('run');
    return change(async (tx) => {
      await tx.event({ level: 'info', type: 'message', message: plan.message });
      await tx.saveJob(queued(tx.job, plan, runId));
    });
  }
}
