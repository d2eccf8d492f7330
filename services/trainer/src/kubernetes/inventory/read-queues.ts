import type { ClusterQueue } from '@luthier/contracts';
import type { ClusterQueueObject, LocalQueueObject } from './kube-objects.js';
import { amount } from './quantity.js';

const isInactive = (conditions: readonly { type: string; status: string }[] | undefined): boolean =>
  (conditions ?? []).some(({ type, status }) => type === 'Active' && status === 'False');
const isStopped = (policy: string | undefined): boolean => policy !== undefined && policy !== 'None';

function limitsOf(queue: ClusterQueueObject | undefined): ClusterQueue['limits'] {
  const { cohort, cohortName, resourceGroups = [] } = queue?.spec ?? {};
  const shares = (cohortName ?? cohort ?? '') !== '';
  const reserved = queue?.status?.flavorsReservation ?? [];
  return resourceGroups.flatMap(({ flavors = [] }) =>
    flavors.flatMap((flavor) =>
      (flavor.resources ?? []).map(({ name, nominalQuota, borrowingLimit }) => {
        const nominal = amount(name, nominalQuota);
        const usage = reserved.find((entry) => entry.name === flavor.name)?.resources;
        return {
          flavor: flavor.name,
          resource: name,
          // A cohort may hold quota of its own, so without a limit of borrowing nothing can be ruled out here.
          most: !shares ? nominal : borrowingLimit === undefined ? null : nominal + amount(name, borrowingLimit),
          used: amount(name, usage?.find((entry) => entry.name === name)?.total),
        };
      }),
    ),
  );
}

/** The queues of the training namespace with what stands behind each. Pure. */
export function readQueues(
  locals: readonly LocalQueueObject[],
  clusters: readonly ClusterQueueObject[],
): ClusterQueue[] {
  return locals.map((local) => {
    const name = local.spec?.clusterQueue ?? '';
    const cluster = clusters.find(({ metadata }) => metadata?.name === name);
    const stopped = isStopped(local.spec?.stopPolicy) || isStopped(cluster?.spec?.stopPolicy);
    return {
      name: local.metadata?.name ?? '',
      clusterQueue: name,
      active: !stopped && !isInactive(local.status?.conditions) && !isInactive(cluster?.status?.conditions),
      pending: local.status?.pendingWorkloads ?? 0,
      admitted: local.status?.admittedWorkloads ?? 0,
      limits: limitsOf(cluster),
    };
  });
}
