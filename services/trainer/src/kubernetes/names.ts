import { idTail } from '@luthier/contracts';

export const FIELD_MANAGER = 'luthier-trainer';
export const MANAGED_BY = `app.kubernetes.io/managed-by=${FIELD_MANAGER}`;

export const LABEL = {
  runId: 'luthier.dev/run-id',
  attempt: 'luthier.dev/attempt',
  completionIndex: 'batch.kubernetes.io/job-completion-index',
  jobName: 'batch.kubernetes.io/job-name',
  /** Whoever keeps this queue decides when the Job's pods are made, and takes them away again. */
  kueueQueue: 'kueue.x-k8s.io/queue-name',
  kueuePriority: 'kueue.x-k8s.io/priority-class',
  podGroup: 'scheduling.x-k8s.io/pod-group',
} as const;

export const ANNOTATION = {
  /** SHA-256 of the rendered Job: an object with another one is not the attempt's. */
  specHash: 'luthier.dev/spec-hash',
  /** Everything the pods need is there: they may begin. */
  prepared: 'luthier.dev/prepared',
  /** The newest incarnation and its pods, for when the status is lost. */
  incarnation: 'luthier.dev/incarnation',
  /** Seconds that earlier attempts have run. */
  ranSeconds: 'luthier.dev/ran-seconds',
  /** Nodes whose device failed under this run, comma-separated. */
  avoidNodes: 'luthier.dev/avoid-nodes',
  priority: 'luthier.dev/priority',
  deadlineSeconds: 'luthier.dev/deadline-seconds',
  /** Changes so that the scheduler looks again at a gang that it has turned away. */
  wokenAt: 'luthier.dev/woken-at',
  volcanoGroup: 'scheduling.k8s.io/group-name',
} as const;

/** The Job controller's; a pod that it removes because its Job was suspended is freed of it first, and counts for nothing. */
export const TRACKED_POD = 'batch.kubernetes.io/job-tracking';

/** Names the container of a run's pods, as Kubeflow Trainer does. */
export const RUN_CONTAINER = 'node';

export const objectNameOf = (runId: string, attempt: number): string => `ft-${idTail(runId)}-${attempt}`;

export const labelsOf = ({ runId, attempt }: { runId: string; attempt: number }): Record<string, string> => ({
  'app.kubernetes.io/name': 'luthier-run',
  'app.kubernetes.io/part-of': 'luthier',
  'app.kubernetes.io/component': 'training',
  'app.kubernetes.io/managed-by': FIELD_MANAGER,
  [LABEL.runId]: runId,
  [LABEL.attempt]: String(attempt),
});

/** The attempt an object says it belongs to; undefined when it is not one of ours. */
export function attemptOfLabels(
  labels: Record<string, string> | undefined,
): { runId: string; attempt: number } | undefined {
  const runId = labels?.[LABEL.runId];
  const attempt = Number(labels?.[LABEL.attempt]);
  return runId !== undefined && Number.isInteger(attempt) && attempt > 0 ? { runId, attempt } : undefined;
}
