import type { Condition, ContainerState, ContainerStatus, PodStatus } from '../objects.js';

/** What the kubelet knows of a container. */
export interface ContainerView {
  name: string;
  image: string;
  state: ContainerState;
  lastState: ContainerState;
  restarts: number;
  ready: boolean;
  started: boolean;
  /** True when it will not run again. */
  over: boolean;
}

export interface PodView {
  podIP: string;
  startTime: string;
  init: readonly ContainerView[];
  containers: readonly ContainerView[];
  /** Says more than the containers do: an evicted pod has failed whatever they say. */
  reason?: string;
  message?: string;
  failed?: boolean;
  conditions: readonly Condition[];
}

export function viewOf(name: string, image: string, reason: string): ContainerView {
  const nothing = { restarts: 0, ready: false, started: false, over: false };
  return { name, image, state: { waiting: { reason } }, lastState: {}, ...nothing };
}

export function phaseOf({ init, containers, failed }: PodView): NonNullable<PodStatus['phase']> {
  const codes = (views: readonly ContainerView[]): (number | undefined)[] =>
    views.map(({ state, over }) => (over ? state.terminated?.exitCode : undefined));
  if (failed === true || codes(init).some((code) => code !== undefined && code !== 0)) return 'Failed';
  const ends = codes(containers);
  if (ends.every((code) => code !== undefined)) return ends.every((code) => code === 0) ? 'Succeeded' : 'Failed';
  const hasRun = ({ state, lastState }: ContainerView): boolean => !state.waiting || lastState.terminated !== undefined;
  return containers.every(hasRun) ? 'Running' : 'Pending';
}

/** The status that a kubelet reports; the API server merges its conditions with those of others. */
export function podStatus(view: PodView): PodStatus {
  const phase = phaseOf(view);
  const over = phase === 'Succeeded' || phase === 'Failed';
  const unready = view.containers.filter(({ ready }) => !ready).map(({ name }) => name);
  const readiness: Partial<Condition> = over
    ? { status: 'False', reason: phase === 'Succeeded' ? 'PodCompleted' : 'PodFailed' }
    : unready.length > 0
      ? {
          status: 'False',
          reason: 'ContainersNotReady',
          message: `containers with unready status: [${unready.join(' ')}]`,
        }
      : { status: 'True' };
  const initialized = view.init.every(({ state }) => state.terminated?.exitCode === 0);
  return {
    phase,
    ...(view.reason !== undefined && { reason: view.reason }),
    ...(view.message !== undefined && { message: view.message }),
    hostIP: '127.0.0.1',
    hostIPs: [{ ip: '127.0.0.1' }],
    podIP: view.podIP,
    podIPs: [{ ip: view.podIP }],
    startTime: view.startTime,
    conditions: [
      { type: 'PodReadyToStartContainers', status: over ? 'False' : 'True' },
      { type: 'Initialized', status: initialized ? 'True' : 'False' },
      { status: 'False', ...readiness, type: 'ContainersReady' },
      { status: 'False', ...readiness, type: 'Ready' },
      ...view.conditions,
    ],
    initContainerStatuses: view.init.map(containerStatus),
    containerStatuses: view.containers.map(containerStatus),
  };
}

function containerStatus({ name, image, state, lastState, restarts, ready, started }: ContainerView): ContainerStatus {
  const began = state.waiting === undefined;
  return {
    ...{ name, image, imageID: began ? image : '', ready, started, restartCount: restarts, state, lastState },
    ...(began && { containerID: `fake://${name}-${restarts}` }),
  };
}

/** Keeps the time of a condition that says what it said before. */
export function withTransitionTimes(
  conditions: readonly Condition[],
  before: readonly Condition[],
  now: string,
): Condition[] {
  return conditions.map((condition) => {
    const last = before.find(({ type }) => type === condition.type);
    const since = last?.status === condition.status ? last.lastTransitionTime : now;
    return { ...condition, lastTransitionTime: since ?? now };
  });
}
