import { paramsTold, shapeTold } from './amount-told';
import type { Obstacle } from '../api/jobs';
import type { Told } from './told';

/** What is in the way of a run, and, where something else would fit, what. */
export function obstacleTold({ reason, params, nearest }: Obstacle): Told[] {
  const said = { key: `fit.${reason}`, ...paramsTold(params) };
  return nearest ? [said, adviceTold(nearest)] : [said];
}

function adviceTold({
  nodes,
  devices_per_node: devices,
  other_type: otherType,
  without_queue: withoutQueue,
}: NonNullable<Obstacle['nearest']>): Told {
  if (devices === 0) return { key: withoutQueue ? 'advice.queue' : 'advice.cpu' };
  return {
    key: 'advice.shape',
    values: { otherType: otherType ? 'yes' : 'no', withoutQueue: withoutQueue ? 'yes' : 'no' },
    parts: { shape: shapeTold(nodes, devices) },
  };
}

/** What a job waits for in the queue or cannot get: that of its plan, where it is what the job's own words say. */
export const waitsFor = ({
  message,
  plan,
}: {
  message: string;
  plan: { message: string; obstacle?: Obstacle | null } | null;
}): Obstacle | null => (plan?.message === message ? (plan.obstacle ?? null) : null);

/** As it stands in the data of an event, which nobody but the platform writes. */
export function obstacleOf(data: Readonly<Record<string, unknown>> | null): Obstacle | null {
  const found = data?.['obstacle'];
  return typeof found === 'object' && found !== null && 'reason' in found && 'params' in found
    ? (found as Obstacle)
    : null;
}
