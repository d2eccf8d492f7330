import type { FitAnswer, FitReason, Inventory, JobRequest, Obstacle, Plan } from '@luthier/contracts';

type Profile = Inventory['profiles'][number];
/** What a job says about where it wants to run. Jobs of older versions say nothing. */
export type Asked = Pick<JobRequest, 'resources' | 'queue'>;

/** What a run gets of a place. */
export interface Share {
  readonly nodes: number;
  readonly devicesPerNode: number;
  readonly deviceType: string | null;
  /** A queue outside; null: admitted here. */
  readonly queue: string | null;
}

export const shareOn = ({ resources, queue }: Asked, profile: Pick<Profile, 'devices' | 'queue'>): Share => ({
  nodes: resources?.nodes ?? 1,
  devicesPerNode: resources?.devicesPerNode ?? (profile.devices > 0 ? 1 : 0),
  deviceType: resources?.deviceType ?? null,
  queue: queue ?? profile.queue ?? null,
});

export const worldSizeOf = ({ nodes, devicesPerNode }: Share): number => nodes * Math.max(1, devicesPerNode);

/** Profiles of the kind that is asked for; all of them where there is none, so that it can be said what there is. */
export function ofKindAsked(profiles: readonly Profile[], { resources }: Asked): readonly Profile[] {
  if (!resources) return profiles;
  const { nodes, devicesPerNode, deviceType } = resources;
  if (nodes === 1 && deviceType === null && devicesPerNode === null) return profiles;
  const wantsDevices = devicesPerNode !== 0 || deviceType !== null;
  const found = profiles.filter(({ devices }) => devices > 0 === wantsDevices);
  return found.length > 0 ? found : profiles;
}

/** Nothing of the kind is there now, but it was not asked for either: a run waits until there is. */
const MAY_COME: ReadonlySet<FitReason> = new Set(['no-nodes', 'no-devices', 'cpu-only']);

export const isNever = ({ canEverFit, reason }: FitAnswer, { resources }: Asked): boolean =>
  !canEverFit && (resources != null || !MAY_COME.has(reason));

/** The field at fault in its public spelling; null when it is none of them. */
export function paramOf(reason: FitReason, { resources }: Asked): string | null {
  switch (reason) {
    case 'no-queueing':
    case 'unknown-queue':
    case 'queue-inactive':
    case 'queue-too-small':
    case 'queue-busy':
      return 'queue';
    case 'unknown-device-type':
      return 'resources.device_type';
    case 'too-few-nodes':
      return 'resources.nodes';
    default:
      return resources == null ? null : 'resources.devices_per_node';
  }
}

/** The one answer that tells most of several that all say no. */
export function mostTelling(answers: readonly FitAnswer[]): FitAnswer | undefined {
  const weight = ({ reason, nearest }: FitAnswer): number => (MAY_COME.has(reason) ? 2 : nearest ? 0 : 1);
  return [...answers].sort((a, b) => weight(a) - weight(b))[0];
}

const titleOf = ({ nodes, devicesPerNode, deviceType }: NonNullable<FitAnswer['nearest']>): string => {
  if (devicesPerNode === 0) return 'Train on the CPU';
  const devices = `${devicesPerNode} GPU${devicesPerNode === 1 ? '' : 's'}${deviceType === null ? '' : ` (${deviceType})`}`;
  return nodes === 1 ? devices : `${nodes} nodes x ${devices}`;
};

/** The part of an answer that is handed on to whoever says it in another language. */
export const obstacleOf = ({ reason, params, nearest }: FitAnswer): Obstacle => ({ reason, params, nearest });

/** A plan with what the place says about it: what can never be placed cannot run, whatever its memory. Pure. */
export function withFit(plan: Plan, fit: FitAnswer, asked: Asked): Plan {
  if (plan.verdict === 'can-never-fit' || plan.verdict === 'unknown') return plan;
  const { message, nearest } = fit;
  const said = { message, obstacle: obstacleOf(fit) };
  if (!isNever(fit, asked)) {
    return fit.fitsNow || fit.reason === 'unknown' ? plan : { ...plan, ...said, verdict: 'waits' };
  }
  const alternative = nearest && {
    title: titleOf(nearest),
    change: { 'resources.nodes': nearest.nodes, 'resources.devices_per_node': nearest.devicesPerNode },
    totalMib: plan.totalMib,
  };
  return { ...plan, ...said, verdict: 'can-never-fit', alternatives: alternative ? [alternative] : [] };
}
