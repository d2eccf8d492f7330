import { z } from 'zod';

/**
 * What Kubernetes and Kueue say of a run's objects and Luthier has a sentence for in every language: kind and reason.
 * Everything else is told in the cluster's own words.
 */
export const CLUSTER_HAPPENINGS = [
  // scheduler, autoscaler
  'Pod.Scheduled',
  'Pod.FailedScheduling',
  'Pod.Preempted',
  'Pod.TriggeredScaleUp',
  'Pod.NotTriggerScaleUp',
  // the node
  'Pod.Pulling',
  'Pod.Pulled',
  'Pod.Created',
  'Pod.Started',
  'Pod.Killing',
  'Pod.Failed',
  'Pod.BackOff',
  'Pod.FailedMount',
  'Pod.FailedAttachVolume',
  'Pod.SuccessfulAttachVolume',
  'Pod.FailedCreatePodSandBox',
  'Pod.Evicted',
  'Pod.NodeNotReady',
  // what makes the pods
  'Job.SuccessfulCreate',
  'Job.SuccessfulDelete',
  'Job.FailedCreate',
  'Job.Suspended',
  'Job.Resumed',
  'Job.Completed',
  'Job.BackoffLimitExceeded',
  // the queue
  'Job.CreatedWorkload',
  'Job.Started',
  'Job.Stopped',
  'Job.FinishedWorkload',
  'Workload.Pending',
  'Workload.QuotaReserved',
  'Workload.Admitted',
  'Workload.Preempted',
  'Workload.Evicted',
] as const;
export type ClusterHappening = (typeof CLUSTER_HAPPENINGS)[number];

/** So many are told of one attempt at most: no cluster can fill a job's timeline. */
export const CLUSTER_EVENTS_PER_ATTEMPT = 100;

/** An event that happens again is told anew at 1, 10, 100, ... times. */
export const toldAtCount = (count: number): number => 10 ** Math.floor(Math.log10(Math.max(1, count)));

/** An Event of the cluster about one of an attempt's objects, as the trainer puts it onto the run stream. */
export const clusterEvent = z.object({
  type: z.literal('cluster-event'),
  /** Of the Event: the same one comes again when its count rises. */
  uid: z.string().min(1).max(128),
  level: z.enum(['info', 'warn']),
  /** Absent: only the cluster's own words say what it is. */
  what: z.enum(CLUSTER_HAPPENINGS).optional(),
  reason: z.string().max(128),
  /** One sentence. */
  message: z.string().max(512),
  /** The cluster's own words, cut to 1 KiB and without control characters. */
  excerpt: z.string().max(1024).optional(),
  object: z.object({ kind: z.string().max(64), name: z.string().max(253) }),
  node: z.string().max(253).optional(),
  /** How often it has happened. */
  count: z.int().positive(),
  /** ISO 8601. */
  firstAt: z.string(),
  lastAt: z.string(),
});
export type ClusterEvent = z.output<typeof clusterEvent>;
