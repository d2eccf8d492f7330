import type { V1Event } from '@luthier/kube';
import type { ClusterProfile } from './cluster-profile.js';
import { explainWaiting } from './explain/index.js';
import type { Explanation, KueueWorkload, ViewedNode } from './explain/index.js';
import type { Sign } from './last-signs.js';
import { hasEnded } from './observe-attempt.js';
import type { AttemptView, Waiting } from './observe-attempt.js';

export interface WaitingView extends AttemptView {
  root: NonNullable<AttemptView['root']>;
  events: readonly V1Event[];
  workload: KueueWorkload | undefined;
  queuePosition: number | undefined;
  /** Newest committed checkpoint, where it is asked for. */
  step: number | undefined;
  queues: readonly string[] | null | undefined;
  nodes: readonly ViewedNode[];
  /** Since when the same reason is seen, in ms since the epoch. */
  sinceOf: (reason: string) => number;
}

/** Pods are made within this; later their absence has a reason that only events tell. */
const PODS_EXPECTED_AFTER_MS = 5_000;
const EVENTS_EVERY_MS = 10_000;

/** Whether pods and conditions alone do not tell why it waits. */
export function needsEvents({ root, pods, now }: AttemptView): boolean {
  if (!root || root.spec?.suspend === true) return false;
  const startedMs = Date.parse(root.status?.startTime ?? root.metadata?.creationTimestamp ?? '');
  if (now - startedMs < PODS_EXPECTED_AFTER_MS) return false;
  return pods.length < (root.spec?.completions ?? 1) || pods.some(({ status }) => status?.phase === 'Pending');
}

/** Why an attempt does not train yet, and whether it is waited for any longer. Pure. */
export function judgeWaiting(view: WaitingView, profile: ClusterProfile | undefined): Waiting | undefined {
  const explained = explainWaiting({
    ...view,
    expectedPods: view.root.spec?.completions ?? 1,
    gpuResource: profile?.deviceResource,
    autoscaled: profile?.autoscaled,
    nodeLostMs: (profile?.nodeLostSeconds ?? 300) * 1_000,
  });
  if (!explained) return undefined;
  const { reason, message, params, excerpt } = explained;
  const said = { reason, message, params, ...(excerpt !== undefined && { excerpt }) };
  // A lost node is told while its pods may come back; what follows is decided by its pods.
  if (explained.phase === 'running') return { lookAgainInMs: EVENTS_EVERY_MS };
  const leftMs = patienceMs(explained, profile) - (view.now - view.sinceOf(reason));
  const startMs = Date.parse(view.root.status?.startTime ?? '');
  const startLeftMs =
    explained.phase === 'queued' || Number.isNaN(startMs)
      ? Number.POSITIVE_INFINITY
      : startMs + (profile?.preRunningSeconds ?? 1_800) * 1_000 - view.now;
  const untilMs = Math.min(leftMs, startLeftMs);
  return {
    progress: { phase: explained.phase, ...said },
    ...(untilMs <= 0 && { hopeless: said }),
    lookAgainInMs: Math.max(0, Math.min(untilMs, EVENTS_EVERY_MS)),
  };
}

/** The profile's own times replace the usual ones; what is hopeless at once stays so. */
function patienceMs({ reason, afterMs }: Explanation, profile: ClusterProfile | undefined): number {
  if (!profile || afterMs === 0 || afterMs === Number.POSITIVE_INFINITY) return afterMs;
  if (reason === 'image-pull') return profile.imagePullSeconds * 1_000;
  if (reason === 'config-missing' || reason === 'queue-rejected') return profile.configErrorSeconds * 1_000;
  return Math.min(afterMs, profile.preRunningSeconds * 1_000);
}

/** What is wrong with what carries pods that all run, such as a node that does not answer. Pure. */
export function judgeNodes(
  view: Pick<WaitingView, 'root' | 'pods' | 'now' | 'nodes'>,
  profile: ClusterProfile | undefined,
): Pick<Waiting, 'progress'> {
  const explained = explainWaiting({
    ...view,
    events: [],
    expectedPods: view.root.spec?.completions ?? 1,
    gpuResource: profile?.deviceResource,
    nodeLostMs: (profile?.nodeLostSeconds ?? 300) * 1_000,
  });
  if (explained?.phase !== 'running') return {};
  const { phase, reason, message, params, excerpt } = explained;
  return { progress: { phase, reason, message, params, ...(excerpt !== undefined && { excerpt }) } };
}

/** While silence is told of, it is soon seen when it is over. */
const SILENCE_LOOK_MS = 5_000;

/**
 * Whether pods that all run are given up: nothing is heard of them, or they do not get further. Halfway there it is told.
 * Pure.
 */
export function judgeSilence(
  { pods, now }: Pick<AttemptView, 'pods' | 'now'>,
  sign: Sign,
  profile: ClusterProfile | undefined,
): Waiting {
  if (!profile || pods.some(hasEnded)) return {};
  const stallMs = profile.stallSeconds * 1_000;
  const begunMs = Math.max(...pods.map(({ status }) => Date.parse(status?.startTime ?? '') || 0));
  const silentMs = now - Math.max(sign.lineMs, begunMs);
  // A step ten times as long as the longest so far is slow; beyond both bounds it hangs.
  const stuckMs = now - Math.max(sign.stepMs, begunMs);
  const stuckAfterMs = Math.max(stallMs, sign.longestStepMs * 10);
  const minutes = (ms: number): number => Math.round(ms / 60_000);
  if (silentMs >= stallMs) {
    const message = `Nothing has been heard of the run for ${minutes(silentMs)} minutes although its pods run.`;
    return { hopeless: { reason: 'stalled', message, params: { seconds: Math.round(silentMs / 1_000) } } };
  }
  if (stuckMs >= stuckAfterMs) {
    const message = `The run lives but has made no step for ${minutes(stuckMs)} minutes; it hangs, perhaps at a collective operation.`;
    return { hopeless: { reason: 'stalled', message, params: { seconds: Math.round(stuckMs / 1_000) } } };
  }
  const lookAgainInMs = Math.max(1_000, Math.min(stallMs - silentMs, stuckAfterMs - stuckMs));
  const lastingMs = silentMs >= stallMs / 2 ? silentMs : stuckMs;
  if (silentMs < stallMs / 2 && stuckMs < stuckAfterMs / 2) return { lookAgainInMs };
  // The same words as long as it lasts: each new one is a new status.
  const since = `${new Date(now - lastingMs).toISOString().slice(0, 19)}Z`;
  const message = `No progress since ${since}; the run is given up if that lasts.`;
  return {
    progress: { phase: 'running', reason: 'stalled', message, params: { since } },
    lookAgainInMs: Math.min(lookAgainInMs, SILENCE_LOOK_MS),
  };
}
