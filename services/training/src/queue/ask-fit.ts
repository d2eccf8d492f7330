import { AppError, fitRun } from '@luthier/contracts';
import type { FitAnswer, Inventory } from '@luthier/contracts';
import type { MessageBus } from '@luthier/messaging';
import { isNever, mostTelling, obstacleOf, paramOf } from './share.js';
import type { Asked } from './share.js';

type Profile = Inventory['profiles'][number];

/** Whether the run could be placed, by profile; undefined while the trainer does not answer. */
export async function askFit(
  bus: MessageBus,
  asked: Asked,
  {
    profiles,
    deviceMemoryMib = 0,
    withoutNodes = [],
  }: { profiles: readonly Pick<Profile, 'name'>[]; deviceMemoryMib?: number; withoutNodes?: string[] },
): Promise<ReadonlyMap<string, FitAnswer> | undefined> {
  const { resources, queue } = asked;
  try {
    const { answers } = await bus.request(fitRun, {
      profiles: profiles.map(({ name }) => name),
      nodes: resources?.nodes ?? 1,
      devicesPerNode: resources?.devicesPerNode ?? null,
      deviceType: resources?.deviceType ?? null,
      queue: queue ?? null,
      deviceMemoryMib,
      withoutNodes,
    });
    return new Map(answers.map(({ profile, fit }) => [profile, fit]));
  } catch {
    return undefined;
  }
}

/** Undefined unless the run can never be placed anywhere. */
export function whyNowhere(asked: Asked, fits: ReadonlyMap<string, FitAnswer>): FitAnswer | undefined {
  const answers = [...fits.values()];
  return answers.length > 0 && answers.every((fit) => isNever(fit, asked)) ? mostTelling(answers) : undefined;
}

/** @throws AppError `plan.does-not-fit` for what can never be placed on any of the profiles. */
export async function refuseImpossible(bus: MessageBus, asked: Asked, profiles: readonly Profile[]): Promise<void> {
  if (profiles.length === 0 || (asked.resources == null && asked.queue == null)) return;
  const fits = await askFit(bus, asked, { profiles });
  const never = fits && whyNowhere(asked, fits);
  if (!never) return;
  const param = paramOf(never.reason, asked);
  throw new AppError('plan.does-not-fit', never.message, {
    ...(param !== null && { param }),
    obstacle: obstacleOf(never),
    hint: 'Ask for what would fit; `GET /api/v1/cluster` shows what there is.',
  });
}
