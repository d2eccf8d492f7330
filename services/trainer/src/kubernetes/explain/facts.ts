import type { AttemptView } from './view.js';

/**
 * Objects of the API as small plain facts. Everything is read as if anything could be missing or of another type, so
 * that nothing after this file has to.
 */
export interface Condition {
  type: string;
  status: string;
  reason: string;
  message: string;
}

export interface ContainerFacts {
  name: string;
  image: string;
  waiting: { reason: string; message: string } | undefined;
  terminated: { exitCode: number; signal: number; reason: string; message: string } | undefined;
}

export interface PodFacts {
  name: string;
  uid: string;
  phase: string;
  reason: string;
  message: string;
  node: string;
  /** Who is to find it a node. */
  scheduler: string;
  /** ms since 1970; 0: not said. */
  createdMs: number;
  deleting: boolean;
  conditions: readonly Condition[];
  containers: readonly ContainerFacts[];
  /** Devices it asks for; 0: none, or not said. */
  gpus: number;
  /** The container's memory limit as it is written ("32Gi"). */
  memoryLimit: string;
}

export interface EventFacts {
  /** Name of what it is about. */
  about: string;
  kind: string;
  reason: string;
  message: string;
  atMs: number;
}

export interface Facts {
  jobExists: boolean;
  jobName: string;
  namespace: string;
  suspended: boolean;
  jobConditions: readonly Condition[];
  pods: readonly PodFacts[];
  /** Newest first. */
  events: readonly EventFacts[];
  gpuResource: string;
}

export const DEFAULT_GPU_RESOURCE = 'nvidia.com/gpu';
const MAX_LIST = 2_000;

export function factsOf(view: AttemptView): Facts {
  const gpuResource = textOf(view.gpuResource) || DEFAULT_GPU_RESOURCE;
  const root: unknown = view.root;
  return {
    jobExists: isObject(root),
    jobName: textAt(root, 'metadata', 'name'),
    namespace: textAt(root, 'metadata', 'namespace'),
    suspended: at(root, 'spec', 'suspend') === true,
    jobConditions: conditionsOf(at(root, 'status', 'conditions')),
    pods: listOf(view.pods).map((pod) => podFacts(pod, gpuResource)),
    events: listOf(view.events)
      .map(eventFacts)
      .sort((a, b) => b.atMs - a.atMs),
    gpuResource,
  };
}

export function conditionsOf(value: unknown): Condition[] {
  return listOf(value).map((each) => ({
    type: textAt(each, 'type'),
    status: textAt(each, 'status'),
    reason: textAt(each, 'reason'),
    message: textAt(each, 'message'),
  }));
}

/** The condition of this type, when its status is the wanted one. */
export const conditionIs = (all: readonly Condition[], type: string, status: 'True' | 'False'): Condition | undefined =>
  all.find((each) => each.type === type && each.status === status);

function podFacts(pod: unknown, gpuResource: string): PodFacts {
  const spec = [...listOf(at(pod, 'spec', 'containers')), ...listOf(at(pod, 'spec', 'initContainers'))];
  const statuses = [
    ...listOf(at(pod, 'status', 'initContainerStatuses')),
    ...listOf(at(pod, 'status', 'containerStatuses')),
  ];
  const imageOf = (name: string): string =>
    textAt(
      spec.find((each) => textAt(each, 'name') === name),
      'image',
    );
  return {
    name: textAt(pod, 'metadata', 'name'),
    uid: textAt(pod, 'metadata', 'uid'),
    phase: textAt(pod, 'status', 'phase'),
    reason: textAt(pod, 'status', 'reason'),
    message: textAt(pod, 'status', 'message'),
    node: textAt(pod, 'spec', 'nodeName'),
    scheduler: textAt(pod, 'spec', 'schedulerName'),
    createdMs: timeMsOf(at(pod, 'metadata', 'creationTimestamp')),
    deleting: isGiven(at(pod, 'metadata', 'deletionTimestamp')),
    conditions: conditionsOf(at(pod, 'status', 'conditions')),
    containers: statuses.map((each) => containerFacts(each, imageOf(textAt(each, 'name')))),
    gpus: spec.reduce<number>((sum, each) => sum + numberOf(at(each, 'resources', 'limits', gpuResource)), 0),
    memoryLimit: textAt(spec[0], 'resources', 'limits', 'memory'),
  };
}

function containerFacts(status: unknown, image: string): ContainerFacts {
  const waiting = at(status, 'state', 'waiting');
  const terminated = at(status, 'state', 'terminated');
  return {
    name: textAt(status, 'name'),
    image: image || textAt(status, 'image'),
    waiting: isObject(waiting) ? { reason: textAt(waiting, 'reason'), message: textAt(waiting, 'message') } : undefined,
    terminated: isObject(terminated)
      ? {
          exitCode: numberOf(at(terminated, 'exitCode')),
          signal: numberOf(at(terminated, 'signal')),
          reason: textAt(terminated, 'reason'),
          message: textAt(terminated, 'message'),
        }
      : undefined,
  };
}

function eventFacts(event: unknown): EventFacts {
  const times = [at(event, 'lastTimestamp'), at(event, 'series', 'lastObservedTime'), at(event, 'eventTime')];
  const created = at(event, 'metadata', 'creationTimestamp');
  return {
    about: textAt(event, 'involvedObject', 'name'),
    kind: textAt(event, 'involvedObject', 'kind'),
    reason: textAt(event, 'reason'),
    message: textAt(event, 'message'),
    atMs: Math.max(0, ...[...times, created].map(timeMsOf)),
  };
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const isGiven = (value: unknown): boolean => value !== undefined && value !== null && value !== '';
const listOf = (value: unknown): unknown[] =>
  Array.isArray(value) ? (value as unknown[]).filter(isObject).slice(0, MAX_LIST) : [];
export const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

function at(value: unknown, ...path: string[]): unknown {
  return path.reduce<unknown>(
    (here, key) => (isObject(here) && Object.hasOwn(here, key) ? here[key] : undefined),
    value,
  );
}
const textAt = (value: unknown, ...path: string[]): string => textOf(at(value, ...path));

/** A count; quantities with a suffix are no counts. */
function numberOf(value: unknown): number {
  const number = typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : 0;
}

function timeMsOf(value: unknown): number {
  if (value instanceof Date) return value.getTime() || 0;
  return typeof value === 'string' ? Date.parse(value) || 0 : 0;
}
