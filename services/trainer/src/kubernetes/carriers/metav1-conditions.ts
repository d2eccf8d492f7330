import type { KubeObject, V1JobCondition } from '@luthier/kube';

/** As JobSet and TrainJob have them. */
export interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
}

interface Conditioned extends KubeObject {
  spec?: { suspend?: boolean };
  status?: { conditions?: readonly Condition[] };
}

/** When it was last let go: neither kind has a field for that, but both have a condition for being suspended. */
export function startTimeOf({ metadata, spec, status }: Conditioned): { startTime?: string } {
  if (spec?.suspend === true) return {};
  const suspended = status?.conditions?.find(({ type }) => type === 'Suspended');
  // Its controller may never have seen it suspended.
  const startTime = suspended ? suspended.lastTransitionTime : metadata?.creationTimestamp;
  if (startTime === undefined || suspended?.status === 'True') return {};
  return { startTime };
}

/** JobSet says `Completed` where the others say `Complete`. */
export const conditionsAsOfJob = ({ status }: Conditioned): V1JobCondition[] =>
  (status?.conditions ?? []).map((condition) => ({
    ...condition,
    type: condition.type === 'Completed' ? 'Complete' : condition.type,
  }));
