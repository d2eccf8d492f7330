import type { PodObject } from './kube-objects.js';
import { amount, rounded } from './quantity.js';

/** By resource name, in the units of `amount`. */
export type Amounts = Readonly<Record<string, number>>;

/** What the inventory keeps of a pod. */
export interface PodShare {
  readonly nodeName: string;
  readonly requests: Amounts;
  /** The run it belongs to, where it is one of ours. */
  readonly runId: string | null;
  /** Comes back by itself on its node, so what it takes is never free for a run. */
  readonly permanent: boolean;
}

const RUN_LABEL = 'luthier.dev/run-id';
const PERMANENT_OWNERS = new Set(['DaemonSet', 'Node']);

type Container = NonNullable<NonNullable<PodObject['spec']>['containers']>[number];

function requestsOf(resources: Container['resources']): Record<string, number> {
  // A limit alone is a request as well; the API server usually writes it down.
  const written = { ...resources?.limits, ...resources?.requests };
  return Object.fromEntries(Object.entries(written).map(([name, text]) => [name, amount(name, text)]));
}

const combine = (a: Amounts, b: Amounts, how: (x: number, y: number) => number): Record<string, number> =>
  Object.fromEntries(
    [...new Set([...Object.keys(a), ...Object.keys(b)])].map((name) => [
      name,
      rounded(how(a[name] ?? 0, b[name] ?? 0)),
    ]),
  );
const add = (a: Amounts, b: Amounts): Record<string, number> => combine(a, b, (x, y) => x + y);
const most = (a: Amounts, b: Amounts): Record<string, number> => combine(a, b, Math.max);

/**
 * What the scheduler sets aside for a pod: containers together, or the largest moment of its start, plus overhead. Side
 * cars (init containers that stay) count with everything after them.
 */
export function podRequests(pod: PodObject): Amounts {
  const { containers = [], initContainers = [], overhead = {}, resources } = pod.spec ?? {};
  let sideCars: Record<string, number> = {};
  let starting: Record<string, number> = {};
  for (const container of initContainers) {
    const requests = requestsOf(container.resources);
    if (container.restartPolicy === 'Always') sideCars = add(sideCars, requests);
    starting = most(starting, container.restartPolicy === 'Always' ? sideCars : add(sideCars, requests));
  }
  const running = containers.reduce((sum, container) => add(sum, requestsOf(container.resources)), sideCars);
  const ofPod = requestsOf(resources);
  return add({ ...most(running, starting), ...ofPod }, requestsOf({ requests: overhead }));
}

/** Undefined for pods that take nothing of a node: not placed yet, or over. */
export function shareOf(pod: PodObject): PodShare | undefined {
  const nodeName = pod.spec?.nodeName;
  const phase = pod.status?.phase;
  if (nodeName === undefined || nodeName === '' || phase === 'Succeeded' || phase === 'Failed') return undefined;
  return {
    nodeName,
    requests: podRequests(pod),
    runId: pod.metadata?.labels?.[RUN_LABEL] ?? null,
    permanent: (pod.metadata?.ownerReferences ?? []).some(({ kind }) => PERMANENT_OWNERS.has(kind)),
  };
}

/** The run of a pod that has no node yet. */
export function waitingRunOf(pod: PodObject): string | undefined {
  const over = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
  return over || (pod.spec?.nodeName ?? '') !== '' ? undefined : pod.metadata?.labels?.[RUN_LABEL];
}
