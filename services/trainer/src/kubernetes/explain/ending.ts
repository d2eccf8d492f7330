import { CODE_OF_REASON, RETRIED_CODES } from '@luthier/contracts';
import type { ErrorCode, RunParams, RunReason } from '@luthier/contracts';
import { excerptOf, shortText } from './excerpt.js';
import { conditionIs, factsOf } from './facts.js';
import type { Facts, PodFacts } from './facts.js';
import { lostPods } from './lost-node.js';
import { rankOf, readPodEnd, reasonOfCode } from './pod-end.js';
import type { Fault } from './pod-end.js';
import { readWorkload } from './queue.js';
import { sentence } from './sentences.js';
import type { AttemptView, Ending, Explanation, ViewedOutcome } from './view.js';

/**
 * How an attempt ended, once all its pods have ended, or are lost, or nothing can come of it any more. Undefined: it has
 * not ended. Of several faults the most telling wins (contracts 5). Pure; never throws, whatever the API showed.
 *
 * Ask only about an attempt whose object was created: without object, pods and outcomes it was deleted by someone else.
 * @param outcomes every `outcome.json` of the attempt's pods that was found
 */
export function explainEnd(view: AttemptView, outcomes: readonly ViewedOutcome[]): Ending | undefined {
  const facts = factsOf(view);
  const told = outcomes.map(faultOfOutcome);
  if (!facts.jobExists && facts.pods.length === 0 && told.length === 0) {
    return endingOf('deleted-externally', facts.jobName === '' ? {} : { name: shortText(facts.jobName) });
  }
  const lost = lostPods(view, facts);
  const given = new Set(lost.flatMap(({ pod, givenUp }) => (givenUp ? [pod] : [])));
  const over = facts.pods.filter((pod) => pod.phase === 'Succeeded' || pod.phase === 'Failed');
  const open = facts.pods.length - over.length - given.size;
  const queue = readWorkload(view);
  if (queue?.reason === 'queue-deactivated' && open === 0) return endingOf(queue.reason, queue.params, queue.text);
  if (view.final !== true && (open > 0 || !isJobOver(view, facts))) return undefined;
  const deadline = failureOf(facts);
  if (deadline?.reason === 'DeadlineExceeded') return endingOf('deadline-exceeded', stepOf(view), deadline.message);
  const faults = [
    ...told,
    ...over.flatMap((pod) => {
      const fault = onBrokenNode(view, pod, readPodEnd(pod));
      return isSequel(fault, pod, over) ? [] : [fault];
    }),
    ...lost.map(({ pod, params, text }): Fault => ({
      code: 'cluster.node-lost',
      reason: 'node-lost',
      params,
      text,
      ...(pod.node !== '' && { avoidNode: pod.node }),
    })),
  ];
  return faults.length === 0 ? withoutPods(facts) : mostTelling(view, faults);
}

/** Told to go because another had failed, and killed as it did not: that tells nothing. */
const isSequel = ({ code }: Fault, pod: PodFacts, all: readonly PodFacts[]): boolean =>
  code === 'runtime.killed' && pod.deleting && all.some(({ deleting, phase }) => !deleting && phase === 'Failed');

const UNTOLD: readonly (ErrorCode | undefined)[] = ['runtime.crashed', 'runtime.killed', 'collective.failed'];

/** A process that used devices and ended without a reason, on a node that has since given devices up. */
function onBrokenNode({ nodes }: AttemptView, pod: PodFacts, fault: Fault): Fault {
  const isBroken = (nodes ?? []).some(({ name, brokenGpus = 0 }) => name === pod.node && brokenGpus > 0);
  if (!isBroken || pod.gpus === 0 || !UNTOLD.includes(fault.code)) return fault;
  const params = { ...fault.params, node: shortText(pod.node) };
  return { code: 'cluster.gpu-fault', reason: 'gpu-fault', params, text: fault.text, avoidNode: pod.node };
}

/** An end that the reconciler decides on: a wait that lasted too long, a refusal, a stall. */
export function endingOf(reason: RunReason, params: RunParams, text?: string): Ending {
  const code = CODE_OF_REASON[reason] ?? undefined;
  const excerpt = excerptOf(text);
  return {
    code,
    reason,
    params,
    message: sentence(reason, params),
    ...(excerpt !== undefined && { excerpt }),
    infrastructure: code !== undefined && RETRIED_CODES.includes(code),
  };
}

/** What an attempt ends as when its wait is over (`afterMs`). */
export const endOfWait = ({ reason, params, excerpt }: Explanation): Ending => endingOf(reason, params, excerpt);

const stepOf = ({ step }: AttemptView): RunParams => (typeof step === 'number' ? { step } : {});

const faultOfOutcome = ({ code, message, hint, step }: ViewedOutcome): Fault => ({
  code,
  reason: reasonOfCode(code),
  params: { step },
  message,
  ...(hint !== undefined && { hint }),
  step,
  text: '',
});

/** A failure of the Job, or the decision to let it fail while the last pods are still ending. */
const failureOf = ({ jobConditions }: Facts): Facts['jobConditions'][number] | undefined =>
  conditionIs(jobConditions, 'Failed', 'True') ?? conditionIs(jobConditions, 'FailureTarget', 'True');

/** No pod will be added. A suspended Job goes on later, with new pods. */
function isJobOver({ expectedPods }: AttemptView, facts: Facts): boolean {
  if (!facts.jobExists || failureOf(facts) || conditionIs(facts.jobConditions, 'Complete', 'True')) return true;
  return !facts.suspended && facts.pods.length > 0 && facts.pods.length >= expectedPods;
}

/** The pods are gone already: the Job's condition is all there is. */
function withoutPods(facts: Facts): Ending | undefined {
  if (conditionIs(facts.jobConditions, 'Complete', 'True')) return endingOf('succeeded', {});
  const failure = failureOf(facts);
  return failure ? endingOf('interrupted', {}, failure.message) : undefined;
}

function mostTelling(view: AttemptView, faults: readonly Fault[]): Ending {
  // Stable: at the same rank an outcome, which stands first, says it in the run's own words.
  const sorted = [...faults].sort((a, b) => rankOf(a.code) - rankOf(b.code));
  const same = sorted.filter(({ code }) => code === sorted[0]?.code);
  const steps = faults.flatMap(({ step }) => (step === undefined ? [] : [step]));
  const step = steps.length > 0 ? Math.max(...steps) : view.step;
  const reason = same[0]?.reason ?? 'crashed';
  const params: RunParams = Object.assign({}, ...same.map((fault) => fault.params).reverse()) as RunParams;
  if (typeof step === 'number') params.step = step;
  const text = same.find((fault) => fault.text !== '')?.text ?? sorted.find((fault) => fault.text !== '')?.text;
  const own = same.find((fault) => fault.message !== undefined && fault.message !== '');
  const avoidNode = same.find((fault) => fault.avoidNode !== undefined)?.avoidNode;
  const code = sorted[0]?.code;
  const excerpt = excerptOf(text, 'end');
  return {
    code,
    reason,
    params,
    message: own?.message ?? sentence(reason, params),
    ...(own?.hint !== undefined && { hint: own.hint }),
    ...(excerpt !== undefined && code !== undefined && { excerpt }),
    ...(typeof step === 'number' && { step }),
    infrastructure: code !== undefined && RETRIED_CODES.includes(code),
    ...(avoidNode !== undefined && { avoidNode }),
  };
}
