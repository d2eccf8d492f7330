import type { AttemptView, KueueWorkload } from '../view.js';

type Job = NonNullable<AttemptView['root']>;
type Pod = AttemptView['pods'][number];
type Event = AttemptView['events'][number];

/** Objects as the API serves them (kube-apiserver 1.36), shortened to what a reader of them meets. */
export const NOW = Date.parse('2026-11-24T10:30:00Z');
const CREATED = '2026-11-24T10:00:00Z';
export const CREATED_MS = Date.parse(CREATED);
export const NAME = 'ft-01jk3zq8wd5m7n2p4r6t-1';
export const IMAGE = 'registry.example/luthier/runtime-torch@sha256:0f3a';

interface ConditionJson {
  type: string;
  status: string;
  reason?: string;
  message?: string;
}
const condition = (type: string, status: string, reason?: string, message?: string): ConditionJson => ({
  type,
  status,
  ...(reason !== undefined && { reason }),
  ...(message !== undefined && { message }),
});
export const conditions = { of: condition };

export function job(status: Record<string, unknown> = { active: 1 }, suspend = false): Job {
  const object = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: NAME, namespace: 'luthier-training', uid: 'b6c1', creationTimestamp: CREATED },
    spec: { backoffLimit: 0, completionMode: 'Indexed', completions: 1, parallelism: 1, suspend },
    status,
  };
  return object;
}

export interface PodJson {
  index?: number;
  node?: string;
  scheduler?: string;
  phase?: string;
  gpus?: number;
  conditions?: ConditionJson[];
  /** `state` of the one container. */
  state?: Record<string, unknown>;
  reason?: string;
  message?: string;
  deleting?: boolean;
}

export function pod(given: PodJson = {}): Pod {
  const {
    index = 0,
    node,
    scheduler = 'default-scheduler',
    phase = 'Pending',
    gpus = 8,
    state,
    reason,
    message,
  } = given;
  const object = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `${NAME}-${index}-x7k2p`,
      namespace: 'luthier-training',
      uid: `pod-${index}`,
      creationTimestamp: CREATED,
      labels: { 'batch.kubernetes.io/job-name': NAME, 'batch.kubernetes.io/job-completion-index': String(index) },
      finalizers: ['batch.kubernetes.io/job-tracking'],
      ...(given.deleting === true && { deletionTimestamp: '2026-11-24T10:20:00Z', deletionGracePeriodSeconds: 120 }),
    },
    spec: {
      ...(node !== undefined && { nodeName: node }),
      ...{ schedulerName: scheduler, restartPolicy: 'Never' },
      containers: [
        { name: 'trainer', image: IMAGE, resources: { limits: { 'nvidia.com/gpu': String(gpus), memory: '32Gi' } } },
      ],
    },
    status: {
      phase,
      ...(reason !== undefined && { reason }),
      ...(message !== undefined && { message }),
      conditions: given.conditions ?? [],
      ...(state && {
        containerStatuses: [{ name: 'trainer', image: IMAGE, imageID: '', ready: false, restartCount: 0, state }],
      }),
    },
  };
  return object;
}

export const running = (given: PodJson = {}): Pod =>
  pod({ node: 'gpu-1', phase: 'Running', state: { running: { startedAt: CREATED } }, ...given });

/** A pod whose process has left with this status and these last words. */
export const exited = (exitCode: number, message = '', given: PodJson & { why?: string } = {}): Pod =>
  pod({
    node: 'gpu-1',
    phase: exitCode === 0 ? 'Succeeded' : 'Failed',
    state: {
      terminated: {
        exitCode,
        reason: given.why ?? (exitCode === 0 ? 'Completed' : 'Error'),
        ...(message !== '' && { message }),
        startedAt: CREATED,
        finishedAt: '2026-11-24T10:25:00Z',
      },
    },
    ...given,
  });

export const waiting = (reason: string, message: string, given: PodJson = {}): Pod =>
  pod({ node: 'gpu-1', state: { waiting: { reason, message } }, ...given });

export const unplaced = (message: string, given: PodJson = {}): Pod =>
  pod({ conditions: [condition('PodScheduled', 'False', 'Unschedulable', message)], ...given });

export const disrupted = (reason: string, message: string): ConditionJson =>
  condition('DisruptionTarget', 'True', reason, message);

export function event(reason: string, message: string, about = NAME, kind = 'Job'): Event {
  const object = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${about}.18a`, namespace: 'luthier-training', creationTimestamp: CREATED },
    involvedObject: { kind, name: about, namespace: 'luthier-training' },
    reason,
    message,
    type: 'Warning',
    count: 3,
    lastTimestamp: '2026-11-24T10:10:00Z',
  };
  return object;
}

export const podEvent = (reason: string, message: string): Event => event(reason, message, `${NAME}-0-x7k2p`, 'Pod');

export const workload = (spec: KueueWorkload['spec'], ...given: ConditionJson[]): KueueWorkload => ({
  metadata: { name: `job-${NAME}-4c1f2`, namespace: 'luthier-training' },
  spec: { active: true, queueName: 'team-a', priority: 0, ...spec },
  status: { conditions: given },
});

export const view = (given: Partial<AttemptView> = {}): AttemptView => ({
  root: job(),
  pods: [],
  events: [],
  now: NOW,
  expectedPods: 1,
  ...given,
});

/** Two nodes with eight devices each, three of one free. */
export const NODES: NonNullable<AttemptView['nodes']> = [
  { name: 'gpu-1', ready: true, gpus: 8, freeGpus: 3 },
  { name: 'gpu-2', ready: true, gpus: 8, freeGpus: 0 },
];
