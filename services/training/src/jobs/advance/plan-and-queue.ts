import { Injectable } from '@nestjs/common';
import { AppError, contradictionIn, getInventory, newId } from '@luthier/contracts';
import type { FitAnswer, Inventory, Plan, RunSettings } from '@luthier/contracts';
import { MessageBus } from '@luthier/messaging';
import { planRun } from '@luthier/planner';
import { capableProfiles, whyUnsupported, wishOf } from '../../queue/admission.js';
import type { Profile, Wish } from '../../queue/admission.js';
import { askFit, whyNowhere } from '../../queue/ask-fit.js';
import { isNever, ofKindAsked, shareOn, withFit, worldSizeOf } from '../../queue/share.js';
import { queued } from '../job.js';
import type { Job } from '../job.js';
import { planInputOf } from '../plan-input.js';
import { withMeasured } from '../rehearsal.js';
import { PhaseStep, change, fail, failJob } from './step.js';
import type { StepOutcome } from './step.js';

export interface PlacedPlan {
  readonly plan: Plan;
  readonly profile: Profile | undefined;
  /** Whether it could be placed there; undefined: not known. */
  readonly fit?: FitAnswer | undefined;
}

/** The best that the inventory offers: the first capable profile that fits, else the largest. */
export function planJobRun(job: Job, inventory: Inventory | undefined): PlacedPlan {
  const { base } = job;
  const input = planInputOf(job);
  if (!base?.shape || !input) {
    throw new AppError('internal', undefined, { cause: new Error(`${job.id} is not prepared`) });
  }
  const profiles = inventory ? profilesFor(job, inventory) : [];
  const candidates = (profiles.length > 0 ? profiles : [undefined]).map((profile) => {
    const worldSize = profile ? worldSizeOf(shareOn(job.request, profile)) : 1;
    const plan = planRun({ ...input, profile, worldSize });
    const advised = { ...plan, notes: [...plan.notes, ...job.advice] };
    return { profile, plan: withMeasured(advised, job.rehearsal?.measured) };
  });
  const best = ['fits', 'waits', 'can-never-fit', 'unknown'].flatMap((verdict) =>
    candidates.filter(({ plan }) => plan.verdict === verdict),
  )[0];
  if (!best) throw new AppError('internal', undefined, { cause: new Error('no plan was made') });
  return best;
}

const settingsOf = ({ request, tuning, hyperparameters }: Job): RunSettings => ({
  ...{ method: request.method.type, tuning, hyperparameters },
});

/** What the job asks of a runtime. */
export const wishOfJob = (job: Job): Wish =>
  wishOf(settingsOf(job), job.base?.shape?.architecture ?? null, job.request);

/** Those that can do the job and are of the kind it asks for. */
const profilesFor = (job: Job, inventory: Inventory): readonly Profile[] =>
  ofKindAsked(capableProfiles(inventory, wishOfJob(job)), job.request);

/** The same with what the place itself says: devices, queues and quotas. Its plan tells what can never be placed. */
export async function placeJobRun(bus: MessageBus, job: Job, inventory: Inventory | undefined): Promise<PlacedPlan> {
  const fits = inventory && (await askFit(bus, job.request, { profiles: profilesFor(job, inventory) }));
  if (!inventory || !fits) return planJobRun(job, inventory);
  const nowhere = whyNowhere(job.request, fits);
  const possible = nowhere
    ? inventory.profiles
    : inventory.profiles.filter(({ name }) => {
        const fit = fits.get(name);
        return !fit || !isNever(fit, job.request);
      });
  const placed = planJobRun(job, { ...inventory, profiles: possible });
  if (!placed.profile) return placed;
  const fit = nowhere ?? (await fitOfPlan(bus, job, placed)) ?? fits.get(placed.profile.name);
  return fit ? { ...placed, plan: withFit(placed.plan, fit, job.request), fit } : placed;
}

/** Asked again with what each device needs, which the plan has told. */
async function fitOfPlan(bus: MessageBus, job: Job, { plan, profile }: PlacedPlan): Promise<FitAnswer | undefined> {
  if (!profile || profile.devices === 0) return undefined;
  const fits = await askFit(bus, job.request, { profiles: [profile], deviceMemoryMib: plan.leastMib ?? plan.totalMib });
  return fits?.get(profile.name);
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
  // What the place offers instead is in its sentence already.
  const changes = plan.obstacle
    ? plan.alternatives.filter(({ change }) => !('resources.nodes' in change))
    : plan.alternatives;
  const options = changes.map(({ title, totalMib }) => `${title} (${totalMib} MiB)`);
  const message = options.length > 0 ? `${plan.message} What would fit: ${options.join('; ')}.` : plan.message;
  await failJob(tx, { code: 'plan.does-not-fit', message });
}

@Injectable()
export class PlanAndQueue extends PhaseStep {
  constructor(private readonly bus: MessageBus) {
    super();
  }

  override async look(job: Job): Promise<StepOutcome> {
    // Of a model that was not here when the job was asked for.
    const contradiction = contradictionIn(settingsOf(job), job.base?.shape);
    if (contradiction) {
      const { message, hint } = contradiction;
      return fail({ code: 'request.invalid', message, hint });
    }
    const inventory = await inventoryOf(this.bus);
    const wish = wishOfJob(job);
    const unsupported = inventory && whyUnsupported(inventory, wish);
    if (unsupported) {
      const { message, hint } = unsupported;
      return fail({ code: 'model.unsupported', message, hint });
    }
    const { plan } = await placeJobRun(this.bus, job, inventory);
    if (plan.verdict === 'can-never-fit') return change((tx) => refuse(tx, plan));
    const runId = newId('run');
    return change(async (tx) => {
      const { message, obstacle } = plan;
      await tx.event({ level: 'info', type: 'message', message, ...(obstacle && { data: { obstacle } }) });
      await tx.saveJob(queued(tx.job, plan, runId));
    });
  }
}
