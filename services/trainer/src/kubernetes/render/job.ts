import { createHash } from 'node:crypto';
import type { V1Job } from '@luthier/kube';
import type { RunSpec } from '@luthier/contracts';
import type { ClusterProfile } from '../cluster-profile.js';
import { ANNOTATION, LABEL, labelsOf, objectNameOf } from '../names.js';
import { renderPodTemplate } from './pod.js';
import type { RenderTarget } from './pod.js';

/** What earlier attempts leave to the next one. */
export interface History {
  /** Nodes whose device failed under this run. */
  avoidNodes: readonly string[];
  ranSeconds: number;
}

const NO_HISTORY: History = { avoidNodes: [], ranSeconds: 0 };

/**
 * One attempt as one Indexed Job, suspended: nothing of it runs before its UID is in the run's status. Nothing is
 * retried by Kubernetes; only training decides on the next attempt. Pure.
 */
export function renderJob(
  spec: RunSpec,
  profile: ClusterProfile,
  target: RenderTarget,
  history: History = NO_HISTORY,
): RenderedJob {
  const job = renderWithout(spec, profile, target, history);
  const { annotations } = job.metadata;
  // The history is not part of the identity: it is gone once the older object is.
  annotations[ANNOTATION.specHash] = hashOf(renderWithout(spec, profile, target, NO_HISTORY));
  if (history.ranSeconds > 0) annotations[ANNOTATION.ranSeconds] = String(Math.ceil(history.ranSeconds));
  if (history.avoidNodes.length > 0) annotations[ANNOTATION.avoidNodes] = history.avoidNodes.join(',');
  return job;
}

export type RenderedJob = V1Job & {
  metadata: { name: string; namespace: string; annotations: Record<string, string> };
};

function renderWithout(
  spec: RunSpec,
  profile: ClusterProfile,
  target: RenderTarget,
  { avoidNodes }: History,
): RenderedJob {
  const { nodes } = spec.resources;
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: objectNameOf(spec.runId, spec.attempt),
      namespace: target.namespace,
      labels: { ...labelsOf(spec), ...queueLabels(spec, profile) },
      annotations: {
        [ANNOTATION.priority]: String(spec.priority),
        // Enforced by the trainer: Kueue resets the Job's own clock.
        [ANNOTATION.deadlineSeconds]: String(spec.deadlineSeconds),
      },
    },
    spec: {
      suspend: true,
      completionMode: 'Indexed',
      completions: nodes,
      parallelism: nodes,
      backoffLimit: 0,
      podReplacementPolicy: 'Failed',
      ttlSecondsAfterFinished: profile.ttlSeconds,
      template: renderPodTemplate(spec, profile, target, avoidNodes),
    },
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

const hashOf = (job: V1Job): string => createHash('sha256').update(JSON.stringify(job)).digest('hex').slice(0, 32);
