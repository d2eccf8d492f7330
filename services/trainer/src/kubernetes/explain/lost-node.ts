import type { RunParams } from '@luthier/contracts';
import { shortText } from './excerpt.js';
import { conditionIs } from './facts.js';
import type { Facts, PodFacts } from './facts.js';
import type { AttemptView } from './view.js';

export interface LostPod {
  pod: PodFacts;
  params: RunParams;
  text: string;
  /** Silent for longer than a node is waited for. */
  givenUp: boolean;
}

const DEFAULT_NODE_LOST_MS = 5 * 60_000;

/**
 * Pods whose node does not answer: they look as if they ran, and for ever if nobody acts. The node's own state decides
 * where it is known; else that the pod is to go because its node is unreachable.
 */
export function lostPods(view: AttemptView, { pods }: Facts): LostPod[] {
  return pods.flatMap((pod): LostPod[] => {
    if (pod.phase === 'Succeeded' || pod.phase === 'Failed' || pod.node === '') return [];
    const node = (view.nodes ?? []).find(({ name }) => name === pod.node);
    const disruption = conditionIs(pod.conditions, 'DisruptionTarget', 'True');
    const tainted = pod.deleting && disruption?.reason === 'DeletionByTaintManager';
    const silent = pod.reason === 'NodeLost' || tainted;
    if (node ? node.ready : !silent) return [];
    const silentMs = node?.since === undefined ? undefined : view.now - node.since;
    return [
      {
        pod,
        params: {
          node: shortText(pod.node),
          ...(node?.since !== undefined && sinceOf(node.since)),
          ...(typeof view.step === 'number' && { step: view.step }),
        },
        text: disruption?.message || pod.message,
        givenUp: silentMs === undefined ? tainted : silentMs >= (view.nodeLostMs ?? DEFAULT_NODE_LOST_MS),
      },
    ];
  });
}

function sinceOf(ms: number): RunParams {
  const time = new Date(ms);
  return Number.isNaN(time.getTime()) ? {} : { since: time.toISOString().slice(0, 19) + 'Z' };
}
