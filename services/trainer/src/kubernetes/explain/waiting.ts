import type { RunParams } from '@luthier/contracts';
import { readStart } from './container-waiting.js';
import { excerptOf, shortText } from './excerpt.js';
import { conditionIs, factsOf } from './facts.js';
import type { EventFacts, Facts, PodFacts } from './facts.js';
import { lostPods } from './lost-node.js';
import { readWorkload } from './queue.js';
import { readRefusal } from './refusal-text.js';
import { readSchedulerText, tellsWhy } from './scheduler-text.js';
import { sentence } from './sentences.js';
import type { AttemptView, Explanation } from './view.js';

const MINUTE_MS = 60_000;
/** Not all pods placed after this: what is held is given back, and the run tries again later. */
const PLACING_AFTER_MS = 30 * MINUTE_MS;
const REFUSED_AFTER_MS = 10_000;
const GANG_AFTER_MS = 10 * MINUTE_MS;
/** A scheduler that is there says within this why it has not placed a pod, also when it has thousands. */
const SCHEDULER_SILENT_AFTER_MS = 30_000;

type Unsaid = Omit<Explanation, 'message' | 'excerpt'> & { text?: string };

/**
 * Why an attempt is not running yet, or which of its running pods is in trouble. Undefined: all its pods run and
 * nothing is wrong, or there is no object. Pure; never throws, whatever the API showed.
 */
export function explainWaiting(view: AttemptView): Explanation | undefined {
  const facts = factsOf(view);
  if (!facts.jobExists && facts.pods.length === 0) return undefined;
  const found =
    (facts.pods.some(hasBegun) ? troubleOfRunning(view, facts) : queued(view)) ??
    (facts.pods.length === 0 ? withoutPods(view, facts) : placing(view, facts));
  if (!found) return undefined;
  const { text, ...rest } = found;
  const excerpt = excerptOf(text);
  return { ...rest, message: sentence(rest.reason, rest.params), ...(excerpt !== undefined && { excerpt }) };
}

const hasBegun = ({ phase }: PodFacts): boolean => phase === 'Running' || phase === 'Succeeded' || phase === 'Failed';

function queued(view: AttemptView): Unsaid | undefined {
  const verdict = readWorkload(view);
  if (!verdict) return undefined;
  const { afterMs = 0, ...rest } = verdict;
  return { ...rest, phase: 'queued', afterMs: rest.fatal ? afterMs : Infinity };
}

function troubleOfRunning(view: AttemptView, facts: Facts): Unsaid | undefined {
  const [lost] = lostPods(view, facts);
  if (!lost) return undefined;
  return { phase: 'running', reason: 'node-lost', params: lost.params, text: lost.text, fatal: false, afterMs: 0 };
}

/** The Job says nothing when its pods are refused: only events do. */
function withoutPods(view: AttemptView, facts: Facts): Unsaid {
  const refused = facts.events.find(({ reason, kind }) => reason === 'FailedCreate' && kind !== 'Pod');
  if (!refused || facts.events.some((each) => each.reason === 'SuccessfulCreate' && each.atMs > refused.atMs)) {
    return facts.suspended
      ? { phase: 'queued', reason: 'waiting-in-queue', params: {}, fatal: false, afterMs: Infinity }
      : { phase: 'scheduling', reason: 'containers-starting', params: {}, fatal: false, afterMs: PLACING_AFTER_MS };
  }
  const { reason, params, hopeless } = readRefusal(refused.message, facts.gpuResource);
  return {
    phase: 'scheduling',
    reason,
    params,
    text: refused.message,
    fatal: true,
    afterMs: hopeless ? REFUSED_AFTER_MS : PLACING_AFTER_MS,
  };
}

/** Pods there are, and not all of them run: the most telling of what they wait for. */
function placing(view: AttemptView, facts: Facts): Unsaid | undefined {
  const pending = facts.pods.filter(({ phase }) => !hasBegunPhase(phase));
  const running = facts.pods.length - pending.length;
  const silent = silentScheduler(view, facts);
  if (silent) return silent;
  const said = pending.map((pod) => ofPod(view, facts, pod)).sort((a, b) => weight(a) - weight(b));
  const [worst] = said;
  if (!worst) {
    // Some indexes have no pod at all: the Job controller could not make them.
    return facts.pods.length < view.expectedPods && !facts.pods.some(({ phase }) => phase === 'Failed')
      ? gang(withoutPods(view, facts), running, view)
      : undefined;
  }
  const placed = facts.pods.filter(({ node }) => node !== '').length;
  return worst.phase === 'scheduling' && placed > 0 && placed < view.expectedPods && !worst.fatal
    ? gang(worst, placed, view)
    : worst;
}

const hasBegunPhase = (phase: string): boolean => phase === 'Running' || phase === 'Succeeded' || phase === 'Failed';

/** A fatal one first, then what is furthest from running. */
const weight = (said: Unsaid): number => {
  if (said.fatal) return 0;
  if (said.phase !== 'scheduling') return 3;
  return isVague(said) ? 2 : 1;
};

/** Of pods that are placed together only one is told what it lacks, the others that they wait for it. */
const isVague = ({ reason, params }: Unsaid): boolean =>
  reason === 'containers-starting' || (reason === 'waiting-for-capacity' && params.resource === undefined);

/** Not one pod of the attempt has a word from the scheduler that they name: nobody of that name is at work. */
function silentScheduler({ now }: AttemptView, { pods, events }: Facts): Unsaid | undefined {
  const isUnheard = ({ node, conditions }: PodFacts): boolean =>
    node === '' && !conditions.some(({ type }) => type === 'PodScheduled');
  const since = Math.max(...pods.map(({ createdMs }) => createdMs));
  if (now - since < SCHEDULER_SILENT_AFTER_MS || !pods.every(isUnheard)) return undefined;
  if (events.some(({ reason }) => reason === 'FailedScheduling')) return undefined;
  const name = `A working scheduler "${pods[0]?.scheduler ?? ''}"`;
  // It may be on its way back: only the time that all placing has ends this.
  return {
    phase: 'scheduling',
    reason: 'config-missing',
    params: { name: shortText(name) },
    fatal: false,
    afterMs: Infinity,
  };
}

const gang = (why: Unsaid, placed: number, { expectedPods }: AttemptView): Unsaid =>
  why.fatal
    ? why
    : {
        phase: 'scheduling',
        reason: 'partial-gang',
        params: { placed, nodes: expectedPods },
        ...(why.text !== undefined && { text: why.text }),
        fatal: false,
        afterMs: GANG_AFTER_MS,
      };

function ofPod(view: AttemptView, facts: Facts, pod: PodFacts): Unsaid {
  const events = facts.events.filter(({ about }) => about === pod.name);
  if (pod.node === '') return unplaced(view, facts, pod, events);
  const trouble = readStart(pod, events);
  return trouble
    ? { ...trouble, phase: 'starting' }
    : { phase: 'starting', reason: 'containers-starting', params: {}, fatal: false, afterMs: PLACING_AFTER_MS };
}

function unplaced(view: AttemptView, facts: Facts, pod: PodFacts, events: readonly EventFacts[]): Unsaid {
  const condition = conditionIs(pod.conditions, 'PodScheduled', 'False');
  const heard = events.flatMap(({ reason, message }) => (reason === 'FailedScheduling' ? [message] : []));
  const texts = [condition?.message ?? '', ...heard].filter((each) => each !== '');
  // A pod of a gang is last told that the others were turned away, and before that what is lacking.
  const text = texts.find((each) => tellsWhy(readSchedulerText(each, facts.gpuResource))) ?? texts[0] ?? '';
  const waits = { phase: 'scheduling', text, fatal: false, afterMs: PLACING_AFTER_MS } as const;
  if (condition?.reason === 'SchedulingGated') {
    return { ...waits, phase: 'queued', reason: 'waiting-in-queue', params: {}, afterMs: Infinity };
  }
  const never = neverFits(view, pod);
  if (never) return { ...waits, reason: 'cannot-ever-fit', params: never, fatal: true, afterMs: 0 };
  if (text === '') return { ...waits, reason: 'containers-starting', params: {} };
  const verdict = readSchedulerText(text, facts.gpuResource);
  if (verdict.volume) return { ...waits, reason: 'waiting-for-volume', params: {} };
  if (verdict.gpus > 0) return { ...waits, reason: 'waiting-for-gpus', params: gpuParams(view, facts, pod) };
  if (verdict.other > 0) {
    const { resource } = verdict;
    return { ...waits, reason: 'waiting-for-capacity', params: resource === undefined ? {} : { resource } };
  }
  if (verdict.mismatched > 0) {
    const params = { nodes: verdict.nodes, ...(verdict.cause !== undefined && { cause: shortText(verdict.cause) }) };
    return { ...waits, reason: 'no-matching-node', params };
  }
  return { ...waits, reason: 'waiting-for-capacity', params: {} };
}

function gpuParams({ nodes, expectedPods }: AttemptView, { gpuResource }: Facts, pod: PodFacts): RunParams {
  const free = (nodes ?? []).flatMap(({ freeGpus, ready }) => (ready && freeGpus !== undefined ? [freeGpus] : []));
  return {
    resource: shortText(gpuResource),
    ...(pod.gpus > 0 && { needed: pod.gpus }),
    ...(expectedPods > 1 && { nodes: expectedPods }),
    ...(free.length > 0 && { free: Math.max(...free) }),
  };
}

/** Said only when every node's devices are known and no node can be added. */
function neverFits({ nodes, autoscaled, expectedPods }: AttemptView, { gpus }: PodFacts): RunParams | undefined {
  if (autoscaled === true || gpus === 0 || nodes === undefined || nodes.length === 0) return undefined;
  const counts = nodes.flatMap((node) => (node.gpus === undefined ? [] : [node.gpus]));
  if (counts.length < nodes.length) return undefined;
  const largest = Math.max(...counts);
  if (gpus > largest) return { needed: gpus, largest };
  const places = counts.reduce((sum, count) => sum + Math.floor(count / gpus), 0);
  return places < expectedPods ? { needed: gpus, largest, nodes: expectedPods } : undefined;
}
