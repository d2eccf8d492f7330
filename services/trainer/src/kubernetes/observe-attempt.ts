import type { V1Pod } from '@luthier/kube';
import type { Explained, LiveObject, Observation } from '../runs/run-executor.js';
import type { Root } from './carriers/carrier.js';
import type { ClusterProfile } from './cluster-profile.js';
import { ANNOTATION, LABEL, TRACKED_POD } from './names.js';

export interface SilentNode {
  name: string;
  /** Since when it has not been ready, in ms since the epoch. */
  sinceMs: number;
}

/** All that the API shows of one attempt. */
export interface AttemptView {
  root: Root | undefined;
  /** Those there are now. */
  pods: readonly V1Pod[];
  silentNodes: readonly SilentNode[];
  now: number;
}

/** Why an attempt does not train yet, and whether it ever will. */
export interface Waiting {
  progress?: NonNullable<LiveObject['progress']>;
  /** Set when it is to be given up. */
  hopeless?: Explained;
  lookAgainInMs?: number;
}

export interface Judges {
  /** Asked while not all pods run. */
  waiting: (view: AttemptView & { root: Root }) => Waiting | undefined;
  /** Asked while all of them run. */
  silence: (view: AttemptView & { root: Root }) => Waiting;
}

/** Only time tells when what is told to go is waited for no longer. */
const LEAVING_LOOK_MS = 5_000;

/** What there is of an attempt, from its root object and pods. Pure. */
export function observeAttempt(view: AttemptView, profile: ClusterProfile | undefined, judges: Judges): Observation {
  const { root } = view;
  const running = view.pods.filter((pod) => mayRun(pod, view, profile));
  if (!root) return running.length > 0 ? leavingObject(view.pods) : { state: 'absent' };
  const pods = view.pods.filter((pod) => running.includes(pod) || !isTakenAway(root, pod));
  const leaving = root.metadata?.deletionTimestamp !== undefined;
  // Pods decide, not the object's condition alone: a lost node withholds that for ever.
  if (running.length === 0 && leaving) return { state: 'absent' };
  if (running.length === 0 && (isFinished(root) || pods.length > 0)) return { state: 'ended' };
  return liveObject({ ...view, root, pods }, running, leaving, judges);
}

function liveObject(
  view: AttemptView & { root: Root },
  running: readonly V1Pod[],
  leaving: boolean,
  judges: Judges,
): LiveObject {
  const { root, pods } = view;
  const expected = root.spec?.completions ?? 1;
  const complete = completeSet(running, expected);
  const training = complete.length === expected && complete.every(isContainerRunning);
  const held = root.metadata?.annotations?.[ANNOTATION.prepared] !== 'true';
  const waiting = judged(view, { training, quiet: held || leaving }, judges);
  const noted = notedIncarnation(root);
  const partlyEnded = pods.some(hasEnded);
  return {
    state: 'live',
    objectUid: root.metadata?.uid ?? '',
    // A set of which one has ended already is no new set.
    pods: partlyEnded ? [] : complete.map(uidOf),
    training,
    ...(noted && { noted }),
    ...(held && { held }),
    ...(running.some(({ spec }) => view.silentNodes.some(({ name }) => name === spec?.nodeName)) && { cutOff: true }),
    ...(leaving && { leaving, lookAgainInMs: LEAVING_LOOK_MS }),
    ...(!running.some(isContainerRunning) && !partlyEnded && { idle: true }),
    ...(waiting?.progress && { progress: waiting.progress }),
    ...(waiting?.hopeless && { hopeless: waiting.hopeless }),
    ...(waiting?.lookAgainInMs !== undefined && { lookAgainInMs: waiting.lookAgainInMs }),
  };
}

function judged(
  view: AttemptView & { root: Root },
  { training, quiet }: { training: boolean; quiet: boolean },
  judges: Judges,
): Waiting | undefined {
  if (quiet) return undefined;
  return training ? judges.silence(view) : judges.waiting(view);
}

/** The root object is gone, its pods are not yet. */
const leavingObject = (pods: readonly V1Pod[]): LiveObject => ({
  state: 'live',
  objectUid: pods[0]?.metadata?.ownerReferences?.[0]?.uid ?? '',
  pods: pods.map(uidOf),
  training: false,
  leaving: true,
  lookAgainInMs: LEAVING_LOOK_MS,
});

/**
 * Whether a queue elsewhere has suspended the attempt: it goes on later, with other pods. The pod itself says so, as its
 * Job may be running again when it is seen.
 */
export const isTakenAway = (root: Root | undefined, { metadata }: V1Pod): boolean =>
  root?.metadata?.labels?.[LABEL.kueueQueue] !== undefined &&
  metadata?.deletionTimestamp !== undefined &&
  !(metadata.finalizers ?? []).includes(TRACKED_POD);

const uidOf = ({ metadata }: V1Pod): string => metadata?.uid ?? '';

export const hasEnded = ({ status }: V1Pod): boolean => status?.phase === 'Succeeded' || status?.phase === 'Failed';

const isContainerRunning = ({ status }: V1Pod): boolean =>
  status?.phase === 'Running' && (status.containerStatuses ?? []).every(({ state }) => state?.running !== undefined);

/**
 * Whether something of it may still write. A pod that was told to go no longer counts, being fenced, when its node is long
 * silent or its time to leave is long over; on a silent node at once when its root object itself was ended.
 */
function mayRun(pod: V1Pod, { root, silentNodes, now }: AttemptView, profile: ClusterProfile | undefined): boolean {
  const { deletionTimestamp } = pod.metadata ?? {};
  if (hasEnded(pod)) return false;
  if (deletionTimestamp === undefined) return true;
  const patienceMs = (profile?.nodeLostSeconds ?? 300) * 1_000;
  const isEnded = root?.metadata?.deletionTimestamp !== undefined;
  const silent = silentNodes.find(({ name }) => name === pod.spec?.nodeName);
  if (silent) return !isEnded && now - silent.sinceMs < patienceMs;
  return now - new Date(deletionTimestamp).getTime() < patienceMs;
}

/** One pod for each index, none of them on its way out; empty while one is missing. */
function completeSet(pods: readonly V1Pod[], expected: number): V1Pod[] {
  const byIndex = new Map<string, V1Pod>();
  for (const pod of pods) {
    if (pod.metadata?.deletionTimestamp !== undefined) continue;
    byIndex.set(pod.metadata?.labels?.[LABEL.completionIndex] ?? '0', pod);
  }
  return byIndex.size === expected ? [...byIndex.values()] : [];
}

/** The newest incarnation that was noted on the root object. */
export function notedIncarnation(root: Root): LiveObject['noted'] {
  const text = root.metadata?.annotations?.[ANNOTATION.incarnation];
  if (text === undefined) return undefined;
  const [incarnation, ...pods] = text.split(',');
  return { incarnation: Number(incarnation), pods };
}

const isFinished = ({ status }: Root): boolean =>
  (status?.conditions ?? []).some(
    ({ type, status: is }) => (type === 'Complete' || type === 'Failed') && is === 'True',
  );
