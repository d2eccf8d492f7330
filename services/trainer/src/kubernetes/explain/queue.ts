import type { RunParams, RunReason } from '@luthier/contracts';
import { shortText } from './excerpt.js';
import { conditionIs, conditionsOf, textOf } from './facts.js';
import type { Condition } from './facts.js';
import type { AttemptView } from './view.js';

/** What the Workload of Kueue says of an attempt that it has not admitted. */
export interface QueueVerdict {
  reason: Extract<
    RunReason,
    'waiting-in-queue' | 'queue-too-small' | 'queue-rejected' | 'queue-deactivated' | 'preempted' | 'no-matching-node'
  >;
  params: RunParams;
  text: string;
  fatal: boolean;
  /** How long a fatal one is tolerated. @default 0 */
  afterMs?: number;
}

const MORE_NEEDED = /insufficient unused quota for (\S+) in flavor \S+, (\S+?) more needed/;
/** For each flavour that was tried. */
const OVER_MAXIMUM =
  /insufficient quota for (\S+) in flavor \S+, (?:request > maximum capacity \((\S+) > ([^)\s]+)\)|.*?(?:podsets requests \((\S+)\) \+ )?current podset request \((\S+)\) > maximum capacity \(([^)\s]+)\))/g;
/** The same without the flavour, as older and newer servers write it. */
const OVER_MAXIMUM_SHORT = /request \((\S+)\) > maximum capacity \(([^)\s]+)\)/;
const NO_QUEUE = /(LocalQueue|ClusterQueue) (\S+) (?:doesn't exist|does not exist|is terminating or missing)/;
/** A pod asks for something that the queue does not count: an administrator can add it. */
const NOT_COVERED = /resource \S+ unavailable in ClusterQueue/;
const QUEUE_LABEL = 'kueue.x-k8s.io/queue-name';
const MAX_QUEUES_NAMED = 10;
/** Kueue and its queues may just be being installed. */
const MISSING_AFTER_MS = 2 * 60_000;

/** Undefined: the attempt is admitted, or there is nothing to say yet. */
export function readWorkload(view: AttemptView): QueueVerdict | undefined {
  // Null comes from an API that was asked for one and has none.
  const workload = view.workload ?? undefined;
  if (typeof workload !== 'object') return withoutWorkload(view);
  const conditions = conditionsOf(workload.status?.conditions);
  const queue = textOf(workload.spec?.queueName);
  const inQueue: RunParams = queue === '' ? {} : { queue: shortText(queue) };
  if (workload.spec?.active === false) {
    const why = conditionIs(conditions, 'Evicted', 'True') ?? conditionIs(conditions, 'QuotaReserved', 'False');
    return { reason: 'queue-deactivated', params: inQueue, text: why?.message ?? '', fatal: true };
  }
  // While its pods are still leaving it is admitted too; a new admission takes this back.
  const preempted = conditionIs(conditions, 'Preempted', 'True') ?? evictedByPreemption(conditions);
  if (preempted) {
    const step = typeof view.step === 'number' ? { step: view.step } : {};
    return { reason: 'preempted', params: { ...inQueue, ...step }, text: preempted.message, fatal: false };
  }
  if (conditionIs(conditions, 'Admitted', 'True')) return undefined;
  const waiting = conditionIs(conditions, 'QuotaReserved', 'False');
  const position = typeof view.queuePosition === 'number' ? { position: view.queuePosition } : {};
  return waiting
    ? readWaiting(waiting, { inQueue, position, queues: view.queues })
    : { reason: 'waiting-in-queue', params: { ...inQueue, ...position }, text: '', fatal: false };
}

/** A Job that a queue should begin, and nobody keeps the queue. */
function withoutWorkload({ root, queues }: AttemptView): QueueVerdict | undefined {
  const queue = textOf(root?.metadata?.labels?.[QUEUE_LABEL]);
  if (queues !== null || queue === '' || root?.spec?.suspend !== true) return undefined;
  const params = { queue: shortText(queue), cause: 'noQueueing' };
  return { reason: 'waiting-in-queue', params, text: '', fatal: false };
}

const evictedByPreemption = (conditions: readonly Condition[]): Condition | undefined => {
  const evicted = conditionIs(conditions, 'Evicted', 'True');
  return evicted?.reason === 'Preempted' ? evicted : undefined;
};

interface Place {
  inQueue: RunParams;
  position: RunParams;
  queues: AttemptView['queues'];
}

function readWaiting({ reason, message }: Condition, { inQueue, position, queues }: Place): QueueVerdict {
  const text = message.slice(0, 8 * 1_024);
  const over = overMaximum(text);
  if (over || (reason === 'ExceedsMaxQuota' && !MORE_NEEDED.test(text))) {
    return { reason: 'queue-too-small', params: { ...inQueue, ...over }, text, fatal: true };
  }
  const missing = readMissing(text, queues);
  if (missing) return missing;
  // An inactive queue can be switched on again: it is waited for.
  if (reason === 'Inadmissible' && !/inactive|stopped|not active/i.test(text)) {
    return { reason: 'queue-rejected', params: { ...inQueue, ...causeOf(text) }, text, fatal: true };
  }
  const notCovered = NOT_COVERED.exec(text)?.[0];
  if (notCovered !== undefined) {
    return { reason: 'queue-rejected', params: { ...inQueue, ...causeOf(notCovered) }, text, fatal: false };
  }
  if (reason === 'NoMatchingFlavor' || /didn't match|untolerated taint/i.test(text)) {
    return { reason: 'no-matching-node', params: { ...inQueue, ...causeOf(text) }, text, fatal: false };
  }
  const [, resource, more] = MORE_NEEDED.exec(text) ?? [];
  const lacking =
    resource === undefined || more === undefined
      ? {}
      : { resource: shortText(resource), needed: /^\d{1,9}$/.test(more) ? Number(more) : shortText(more) };
  return { reason: 'waiting-in-queue', params: { ...inQueue, ...position, ...lacking }, text, fatal: false };
}

/** A queue that Kueue does not know is missing only when the list of queues says so too: Kueue may just begin. */
function readMissing(text: string, queues: AttemptView['queues']): QueueVerdict | undefined {
  const [, kind, name] = NO_QUEUE.exec(text) ?? [];
  if (name === undefined) return undefined;
  const known = Array.isArray(queues) ? (queues as readonly string[]) : undefined;
  const named = (known ?? []).slice(0, MAX_QUEUES_NAMED).join(', ');
  const isLocal = kind === 'LocalQueue';
  return {
    reason: 'queue-rejected',
    params: {
      ...{ queue: shortText(name), cause: 'notFound' },
      ...(isLocal && named !== '' && { queues: shortText(named) }),
    },
    text,
    fatal: isLocal && known !== undefined && !known.includes(name),
    afterMs: MISSING_AFTER_MS,
  };
}

const causeOf = (text: string): RunParams => (text.trim() === '' ? {} : { cause: shortText(text) });

/** Undefined also where another flavour is large enough and merely taken. */
function overMaximum(text: string): RunParams | undefined {
  const flavors = [...text.matchAll(OVER_MAXIMUM)];
  const taken = new Set([...text.matchAll(new RegExp(MORE_NEEDED, 'g'))].map(([, resource]) => resource));
  const found = flavors.filter(([, resource]) => !taken.has(resource));
  if (flavors.length > 0 && found.length === 0) return undefined;
  const [full] = found.sort((a, b) => sizeOf(b[3] ?? b[6]) - sizeOf(a[3] ?? a[6]));
  const short = OVER_MAXIMUM_SHORT.exec(text);
  const resource = full?.[1];
  const asked = full ? (full[2] ?? sum(full[4], full[5])) : short?.[1];
  const most = full ? (full[3] ?? full[6]) : short?.[2];
  if (asked === undefined || most === undefined) return undefined;
  return {
    ...(resource !== undefined && { resource: shortText(resource) }),
    needed: countOf(asked),
    limit: countOf(most),
  };
}

const sizeOf = (text: string | undefined): number => Number.parseFloat(text ?? '') || 0;

const countOf = (text: string): string | number => (/^\d{1,9}$/.test(text) ? Number(text) : shortText(text));
function sum(before: string | undefined, current: string | undefined): string | undefined {
  if (before === undefined || current === undefined) return current;
  const [a, b] = [countOf(before), countOf(current)];
  return typeof a === 'number' && typeof b === 'number' ? String(a + b) : current;
}
