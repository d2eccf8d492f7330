import { createHash } from 'node:crypto';
import type { RunSpec } from '@luthier/contracts';
import type { Carrier, RootObject } from '../carriers/carrier.js';
import type { ClusterProfile } from '../cluster-profile.js';
import { ANNOTATION, LABEL, labelsOf, objectNameOf } from '../names.js';
import type { RenderTarget } from './pod.js';

/** What earlier attempts leave to the next one. */
export interface History {
  /** Nodes whose device failed under this run. */
  avoidNodes: readonly string[];
  ranSeconds: number;
}

const NO_HISTORY: History = { avoidNodes: [], ranSeconds: 0 };

export type RenderedRoot = RootObject & {
  kind: string;
  metadata: { name: string; namespace: string; annotations: Record<string, string> };
};

/** One attempt as one object, suspended: nothing of it runs before its UID is in the run's status. Pure. */
export function renderRoot(
  carrier: Carrier,
  spec: RunSpec,
  profile: ClusterProfile,
  target: RenderTarget,
  history: History = NO_HISTORY,
): RenderedRoot {
  const avoidNodes = [...new Set([...history.avoidNodes, ...(spec.avoidNodes ?? [])])];
  const root = renderWithout(carrier, spec, profile, target, avoidNodes);
  const { annotations } = root.metadata;
  // Nodes to avoid are no part of the identity: the history is gone once the older object is, and an order may come later.
  annotations[ANNOTATION.specHash] = hashOf(renderWithout(carrier, spec, profile, target, []));
  if (history.ranSeconds > 0) annotations[ANNOTATION.ranSeconds] = String(Math.ceil(history.ranSeconds));
  if (history.avoidNodes.length > 0) annotations[ANNOTATION.avoidNodes] = history.avoidNodes.join(',');
  return root;
}

function renderWithout(
  carrier: Carrier,
  spec: RunSpec,
  profile: ClusterProfile,
  target: RenderTarget,
  avoidNodes: readonly string[],
): RenderedRoot {
  const { apiVersion, kind } = carrier.resource;
  return {
    apiVersion,
    kind,
    metadata: {
      name: objectNameOf(spec.runId, spec.attempt),
      namespace: target.namespace,
      labels: { ...labelsOf(spec), ...queueLabels(spec, profile) },
      annotations: {
        [ANNOTATION.priority]: String(spec.priority),
        // Enforced by the trainer: Kueue resets the object's own clock.
        [ANNOTATION.deadlineSeconds]: String(spec.deadlineSeconds),
      },
    },
    spec: carrier.render({ spec, profile, target, avoidNodes }),
  };
}

function queueLabels({ queue, queueName, priority }: RunSpec, profile: ClusterProfile): Record<string, string> {
  const name = queueName ?? profile.queue;
  if (queue !== 'external' || name === undefined) return {};
  const known = [...profile.priorityClasses].sort((a, b) => b.from - a.from);
  const priorityClass = known.find(({ from }) => priority >= from)?.name;
  return {
    [LABEL.kueueQueue]: name,
    ...(priorityClass !== undefined && { [LABEL.kueuePriority]: priorityClass }),
  };
}

const hashOf = (root: RootObject): string =>
  createHash('sha256').update(JSON.stringify(root)).digest('hex').slice(0, 32);
