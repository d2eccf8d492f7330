import { describe, expect, it } from '@jest/globals';
import {
  CREATED_MS,
  NODES,
  IMAGE,
  NAME,
  NOW,
  conditions,
  event,
  job,
  pod,
  podEvent,
  running,
  unplaced,
  view,
  waiting,
  workload,
} from './testing/golden.js';
import type { AttemptView, Explanation } from './view.js';
import { explainWaiting } from './waiting.js';

const INSUFFICIENT =
  '0/2 nodes are available: 2 Insufficient nvidia.com/gpu. no new claims to deallocate, preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod.';
/** What the coscheduling plugin (scheduler-plugins 0.33) says. */
const TURNED_AWAY = '0/1 nodes are available: 1 optimistic rejection in PostFilter.';
const NO_GANG =
  "0/9 nodes are available: 10 node(s) didn't match Pod's node affinity/selector, 2 Insufficient nvidia.com/gpu. PodGroup luthier-training/ft-1 gets rejected due to Pod ft-1-2 is unschedulable even after PostFilter";
const reserved = (reason: string, message: string) => conditions.of('QuotaReserved', 'False', reason, message);
const queued = (...given: Parameters<typeof workload>[1][]): Partial<AttemptView> => ({
  root: job({}, true),
  workload: workload({}, ...given),
});

function queuedJob(): ReturnType<typeof job> {
  const suspended = job({}, true);
  return { ...suspended, metadata: { ...suspended.metadata, labels: { 'kueue.x-k8s.io/queue-name': 'team-a' } } };
}

/** One case for each row of faults that keep an attempt from running. */
const ROWS: readonly [row: string, Partial<AttemptView>, Partial<Explanation>][] = [
  [
    'not enough GPUs',
    { pods: [unplaced(INSUFFICIENT)], nodes: NODES },
    {
      phase: 'scheduling',
      reason: 'waiting-for-gpus',
      params: { resource: 'nvidia.com/gpu', needed: 8, free: 3 },
      message: 'Waiting for GPUs: needs 8 on one node, 3 free now.',
      excerpt: INSUFFICIENT,
      fatal: false,
    },
  ],
  [
    'not enough GPUs, by claims',
    {
      pods: [
        unplaced(
          '0/2 nodes are available: 2 cannot allocate all claims. still not schedulable, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.',
        ),
      ],
    },
    { reason: 'waiting-for-gpus', message: 'Waiting for GPUs: needs 8 on one node.', fatal: false },
  ],
  [
    'more GPUs than any node has',
    { pods: [unplaced(INSUFFICIENT, { gpus: 16 })], nodes: NODES },
    { reason: 'cannot-ever-fit', message: 'No node has 16 GPUs; the largest has 8.', fatal: true, afterMs: 0 },
  ],
  [
    'more nodes than the cluster has',
    { pods: [unplaced(INSUFFICIENT)], nodes: NODES, expectedPods: 3 },
    { reason: 'cannot-ever-fit', message: 'The cluster cannot hold 3 nodes with 8 GPUs each at once.', fatal: true },
  ],
  [
    'not enough of something else',
    { pods: [unplaced('0/2 nodes are available: 2 Insufficient memory.')] },
    {
      reason: 'waiting-for-capacity',
      params: { resource: 'memory' },
      message: 'Waiting for a node with room: not enough memory free.',
    },
  ],
  [
    'wrong GPU model or affinity',
    {
      pods: [
        unplaced(
          "0/4 nodes are available: 1 node(s) had untolerated taint {dedicated: web}, 3 node(s) didn't match Pod's node affinity/selector. preemption: 0/4 nodes are available: 4 Preemption is not helpful for scheduling.",
        ),
      ],
    },
    {
      reason: 'no-matching-node',
      message:
        'No node of the cluster matches what the run asks for (4 looked at): node(s) had untolerated taint {dedicated: web}.',
      fatal: false,
    },
  ],
  [
    'a volume that is not bound',
    { pods: [unplaced('0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found.')] },
    { reason: 'waiting-for-volume' },
  ],
  [
    'GPUs for a gang, of which only the last pod hears what is lacking',
    {
      pods: [unplaced(TURNED_AWAY), unplaced(TURNED_AWAY, { index: 1 }), unplaced(NO_GANG, { index: 2 })],
      expectedPods: 3,
    },
    {
      ...{ phase: 'scheduling', reason: 'waiting-for-gpus', excerpt: NO_GANG, fatal: false },
      params: { resource: 'nvidia.com/gpu', needed: 8, nodes: 3 },
      message: 'Waiting for GPUs: needs 8 on each of 3 nodes at once.',
    },
  ],
  [
    'GPUs for a gang, of which nobody hears any more what is lacking',
    {
      pods: [unplaced(TURNED_AWAY), unplaced(TURNED_AWAY, { index: 1 })],
      events: [podEvent('FailedScheduling', TURNED_AWAY), podEvent('FailedScheduling', NO_GANG)],
      expectedPods: 2,
    },
    { reason: 'waiting-for-gpus', message: 'Waiting for GPUs: needs 8 on each of 2 nodes at once.' },
  ],
  [
    'a scheduler that does not exist',
    { pods: [pod({ scheduler: 'volcano' }), pod({ index: 1, scheduler: 'volcano' })], expectedPods: 2 },
    {
      ...{ phase: 'scheduling', reason: 'config-missing', fatal: false, afterMs: Infinity },
      message: 'A working scheduler "volcano" is missing in the cluster.',
    },
  ],
  [
    'a scheduler that has had no time yet',
    { pods: [pod({ scheduler: 'volcano' })], now: CREATED_MS + 29_000 },
    { phase: 'scheduling', reason: 'containers-starting' },
  ],
  [
    'a scheduler that has spoken to one pod of the gang',
    { pods: [pod(), unplaced(INSUFFICIENT, { index: 1 })], expectedPods: 2 },
    { reason: 'waiting-for-gpus' },
  ],
  [
    'partial gang',
    {
      pods: [running(), unplaced(INSUFFICIENT, { index: 1 }), unplaced(INSUFFICIENT, { index: 2 })],
      expectedPods: 3,
      root: job({ active: 3 }),
    },
    {
      phase: 'scheduling',
      reason: 'partial-gang',
      message: 'Only 1 of 3 nodes could start; all of them are needed at once.',
      fatal: false,
    },
  ],
  [
    'ResourceQuota that never suffices',
    {
      events: [
        event(
          'FailedCreate',
          `Error creating: pods "${NAME}-0-b4k2s" is forbidden: exceeded quota: team, requested: requests.nvidia.com/gpu=4, used: requests.nvidia.com/gpu=1, limited: requests.nvidia.com/gpu=2`,
        ),
      ],
    },
    {
      reason: 'quota-exceeded',
      params: { quota: 'team', resource: 'requests.nvidia.com/gpu', needed: 4, used: 1, limit: 2 },
      message: 'Quota "team": 1 of 2 GPUs in use; this run needs 4.',
      fatal: true,
      afterMs: 10_000,
    },
  ],
  [
    'ResourceQuota that others use now',
    {
      events: [
        event(
          'FailedCreate',
          'Error creating: pods "x" is forbidden: exceeded quota: team, requested: limits.cpu=2,requests.nvidia.com/gpu=2, used: limits.cpu=0,requests.nvidia.com/gpu=7, limited: limits.cpu=64,requests.nvidia.com/gpu=8',
        ),
      ],
    },
    {
      reason: 'quota-exceeded',
      params: { quota: 'team', resource: 'requests.nvidia.com/gpu', needed: 2, used: 7, limit: 8 },
      afterMs: 1_800_000,
    },
  ],
  [
    'PodSecurity',
    {
      events: [
        event(
          'FailedCreate',
          'Error creating: pods "x" is forbidden: violates PodSecurity "restricted:latest": unrestricted capabilities (container "trainer" must not include "IPC_LOCK" in securityContext.capabilities.add)',
        ),
      ],
    },
    {
      reason: 'object-refused',
      message:
        'The cluster refused the run: violates PodSecurity "restricted:latest": unrestricted capabilities (container "trainer" must not include "IPC_LOCK" in….',
      fatal: true,
    },
  ],
  [
    'LimitRange',
    {
      events: [
        event(
          'FailedCreate',
          'Error creating: pods "x" is forbidden: maximum memory usage per Container is 16Gi, but limit is 128Gi',
        ),
      ],
    },
    {
      reason: 'object-refused',
      message: 'The cluster refused the run: maximum memory usage per Container is 16Gi, but limit is 128Gi.',
    },
  ],
  [
    'a webhook that denies',
    {
      events: [
        event(
          'FailedCreate',
          'Error creating: admission webhook "policy.example.com" denied the request: images must be signed',
        ),
      ],
    },
    {
      reason: 'object-refused',
      message:
        'The cluster refused the run: admission webhook "policy.example.com" denied the request: images must be signed.',
    },
  ],
  [
    'a missing service account',
    {
      events: [
        event(
          'FailedCreate',
          'Error creating: pods "x" is forbidden: error looking up service account luthier-training/luthier-run: serviceaccount "luthier-run" not found',
        ),
      ],
    },
    { reason: 'config-missing', message: 'Service account luthier-training/luthier-run is missing in the cluster.' },
  ],
  [
    'queued by Kueue',
    {
      ...queued(
        reserved(
          'Pending',
          "couldn't assign flavors to pod set main: insufficient unused quota for nvidia.com/gpu in flavor h100, 4 more needed",
        ),
      ),
      queuePosition: 2,
    },
    {
      phase: 'queued',
      reason: 'waiting-in-queue',
      params: { queue: 'team-a', position: 2, resource: 'nvidia.com/gpu', needed: 4 },
      message: 'In queue "team-a", place 2: 4 more GPUs needed.',
      fatal: false,
      afterMs: Infinity,
    },
  ],
  [
    'queued by a newer Kueue',
    queued(
      reserved(
        'WaitingForQuota',
        "couldn't assign flavors to pod set main: insufficient unused quota for memory in flavor a100, 2Gi more needed, insufficient unused quota for nvidia.com/gpu in flavor a100, 2 more needed",
      ),
    ),
    { reason: 'waiting-in-queue', params: { queue: 'team-a', resource: 'memory', needed: '2Gi' } },
  ],
  [
    'can never be admitted',
    queued(
      reserved(
        'ExceedsMaxQuota',
        "couldn't assign flavors to pod set main: insufficient quota for nvidia.com/gpu in flavor h100, previously considered podsets requests (0) + current podset request (64) > maximum capacity (8)",
      ),
    ),
    {
      reason: 'queue-too-small',
      params: { queue: 'team-a', resource: 'nvidia.com/gpu', needed: 64, limit: 8 },
      message: 'Queue "team-a" has at most 8 GPUs; this run asks for 64.',
      fatal: true,
      afterMs: 0,
    },
  ],
  [
    'can never be admitted, in older words',
    queued(
      reserved(
        'Pending',
        "couldn't assign flavors to pod set main: insufficient quota for nvidia.com/gpu in flavor h100, request > maximum capacity (64 > 8)",
      ),
    ),
    { reason: 'queue-too-small', message: 'Queue "team-a" has at most 8 GPUs; this run asks for 64.' },
  ],
  [
    'wrong queue',
    { ...queued(reserved('Inadmissible', "LocalQueue nope doesn't exist")), queues: ['team-a', 'team-b'] },
    {
      reason: 'queue-rejected',
      params: { queue: 'nope', cause: 'notFound', queues: 'team-a, team-b' },
      message: 'Queue "nope" does not take this run: it does not exist; there is team-a, team-b.',
      fatal: true,
      afterMs: 120_000,
    },
  ],
  [
    'a queue that only Kueue does not know yet',
    { ...queued(reserved('Inadmissible', 'LocalQueue team-a is terminating or missing')), queues: ['team-a'] },
    { phase: 'queued', reason: 'queue-rejected', fatal: false, afterMs: Infinity },
  ],
  [
    'a flavour of the queue that is too small beside one that is large enough and taken',
    queued(
      reserved(
        'Pending',
        "couldn't assign flavors to pod set main: insufficient quota for nvidia.com/gpu in flavor a10, previously considered podsets requests (0) + current podset request (8) > maximum capacity (4), insufficient unused quota for nvidia.com/gpu in flavor h100, 6 more needed",
      ),
    ),
    { reason: 'waiting-in-queue', params: { queue: 'team-a', resource: 'nvidia.com/gpu', needed: 6 }, fatal: false },
  ],
  [
    'several flavours of the queue that are all too small',
    queued(
      reserved(
        'Pending',
        "couldn't assign flavors to pod set main: insufficient quota for nvidia.com/gpu in flavor a10, previously considered podsets requests (0) + current podset request (64) > maximum capacity (4), insufficient quota for nvidia.com/gpu in flavor h100, previously considered podsets requests (0) + current podset request (64) > maximum capacity (16)",
      ),
    ),
    { reason: 'queue-too-small', params: { queue: 'team-a', resource: 'nvidia.com/gpu', needed: 64, limit: 16 } },
  ],
  [
    'something that the queue does not count',
    queued(
      reserved(
        'NoMatchingFlavor',
        "couldn't assign flavors to pod set main: resource ephemeral-storage unavailable in ClusterQueue",
      ),
    ),
    {
      reason: 'queue-rejected',
      message: 'Queue "team-a" does not take this run: resource ephemeral-storage unavailable in ClusterQueue.',
      fatal: false,
      afterMs: Infinity,
    },
  ],
  [
    'no queueing system any more',
    { root: queuedJob(), queues: null },
    {
      phase: 'queued',
      reason: 'waiting-in-queue',
      message: 'In queue "team-a": the cluster has no queueing system now; the run waits until it has one.',
      fatal: false,
      afterMs: Infinity,
    },
  ],
  [
    'a queue that is stopped for now',
    queued(reserved('Inadmissible', 'LocalQueue team-a is inactive')),
    { reason: 'waiting-in-queue', fatal: false },
  ],
  [
    'a kind of node that the queue has not',
    queued(
      reserved('NoMatchingFlavor', "couldn't assign flavors to pod set main: flavor h100 doesn't match node affinity"),
    ),
    { phase: 'queued', reason: 'no-matching-node', fatal: false },
  ],
  [
    'preempted by Kueue',
    {
      ...queued(
        conditions.of('QuotaReserved', 'False', 'Pending', 'Preempted to accommodate a workload'),
        conditions.of(
          'Evicted',
          'True',
          'Preempted',
          'Preempted to accommodate a workload (UID: 1f) due to prioritization in the ClusterQueue',
        ),
        conditions.of(
          'Preempted',
          'True',
          'InClusterQueue',
          'Preempted to accommodate a workload (UID: 1f) due to prioritization in the ClusterQueue',
        ),
        conditions.of('Requeued', 'True', 'Preempted', ''),
      ),
      step: 1200,
    },
    {
      phase: 'queued',
      reason: 'preempted',
      message: 'Paused for a more urgent run at step 1200; resumes by itself.',
      fatal: false,
    },
  ],
  [
    'a workload that was switched off',
    {
      root: job({}, true),
      workload: workload(
        { active: false },
        conditions.of('Evicted', 'True', 'Deactivated', 'The workload is deactivated'),
      ),
    },
    { reason: 'queue-deactivated', fatal: true, afterMs: 0 },
  ],
  [
    'image pull, not found',
    {
      pods: [waiting('ImagePullBackOff', `Back-off pulling image "${IMAGE}"`)],
      events: [
        podEvent(
          'Failed',
          `Failed to pull image "${IMAGE}": rpc error: code = NotFound desc = failed to pull and unpack image: not found`,
        ),
      ],
    },
    {
      phase: 'starting',
      reason: 'image-pull',
      params: { image: IMAGE, cause: 'notFound' },
      message: `The training image "${IMAGE}" cannot be fetched: it does not exist.`,
      fatal: true,
      afterMs: 300_000,
    },
  ],
  [
    'image pull, not allowed',
    {
      pods: [
        waiting(
          'ErrImagePull',
          `failed to pull and unpack image "${IMAGE}": failed to authorize: unexpected status: 401 Unauthorized`,
        ),
      ],
    },
    {
      reason: 'image-pull',
      params: { image: IMAGE, cause: 'notAllowed' },
      fatal: true,
      afterMs: 300_000,
    },
  ],
  [
    'an image name that is no name',
    { pods: [waiting('InvalidImageName', `Failed to apply default image tag "${IMAGE}!": couldn't parse image name`)] },
    { reason: 'image-pull', fatal: true, afterMs: 0 },
  ],
  [
    'an image on its way',
    { pods: [waiting('ContainerCreating', '')], events: [podEvent('Pulling', `Pulling image "${IMAGE}"`)] },
    { phase: 'starting', reason: 'pulling-image', message: `Fetching the training image "${IMAGE}".`, fatal: false },
  ],
  [
    'config error',
    { pods: [waiting('CreateContainerConfigError', 'secret "hf-token" not found')] },
    {
      reason: 'config-missing',
      params: { name: 'Secret "hf-token"' },
      message: 'Secret "hf-token" is missing in the cluster.',
      fatal: true,
      afterMs: 120_000,
    },
  ],
  [
    'a missing key',
    { pods: [waiting('CreateContainerConfigError', "couldn't find key token in Secret luthier-training/run-token")] },
    { reason: 'config-missing', message: 'The key "token" of Secret "run-token" is missing in the cluster.' },
  ],
  [
    'a volume that cannot be mounted',
    {
      pods: [waiting('ContainerCreating', '')],
      events: [
        podEvent('FailedMount', 'MountVolume.SetUp failed for volume "request" : configmap "ft-request" not found'),
      ],
    },
    { reason: 'config-missing', message: 'ConfigMap "ft-request" is missing in the cluster.' },
  ],
  [
    'containers that start',
    { pods: [waiting('ContainerCreating', '')] },
    { phase: 'starting', reason: 'containers-starting', message: 'The containers are starting.', fatal: false },
  ],
  [
    'a node that stopped answering',
    {
      pods: [running()],
      nodes: [{ name: 'gpu-1', ready: false, since: Date.parse('2026-11-24T10:28:00Z') }],
      step: 900,
    },
    {
      phase: 'running',
      reason: 'node-lost',
      message:
        'Node "gpu-1" stopped answering at 2026-11-24T10:28:00Z; the run goes on from step 900 when it is back, or on another node.',
      fatal: false,
    },
  ],
];

describe('why an attempt does not run', () => {
  it.each(ROWS)('%s', (_row, given, expected) => {
    expect(explainWaiting(view(given))).toMatchObject(expected);
  });

  it('says nothing when every pod runs, or when there is no object', () => {
    expect(explainWaiting(view({ pods: [running()] }))).toBeUndefined();
    expect(explainWaiting(view({ root: undefined }))).toBeUndefined();
  });

  it('calls nothing impossible while nodes can be added or a node is not known', () => {
    const pods = [unplaced(INSUFFICIENT, { gpus: 16 })];
    expect(explainWaiting(view({ pods, nodes: NODES, autoscaled: true }))?.reason).toBe('waiting-for-gpus');
    const nodes = [...NODES, { name: 'gpu-3', ready: true }];
    expect(explainWaiting(view({ pods, nodes }))?.reason).toBe('waiting-for-gpus');
  });

  it('tells what ends the run before what only delays it', () => {
    const pods = [unplaced(INSUFFICIENT), waiting('InvalidImageName', 'bad', { index: 1 })];
    expect(explainWaiting(view({ pods, expectedPods: 2 }))?.reason).toBe('image-pull');
  });

  it('forgets a refusal once pods were made after it', () => {
    const refused = event(
      'FailedCreate',
      'Error creating: pods "x" is forbidden: exceeded quota: q, requested: cpu=1, used: cpu=1, limited: cpu=1',
    );
    const made = { ...event('SuccessfulCreate', 'Created pod: x'), lastTimestamp: new Date(NOW).toISOString() };
    expect(explainWaiting(view({ events: [refused, made] }))?.reason).toBe('containers-starting');
    expect(explainWaiting(view({ events: [refused] }))?.reason).toBe('quota-exceeded');
  });

  it('waits for the queue when a pod is gated', () => {
    const gated = pod({
      conditions: [
        conditions.of(
          'PodScheduled',
          'False',
          'SchedulingGated',
          'Scheduling is blocked due to non-empty scheduling gates',
        ),
      ],
    });
    expect(explainWaiting(view({ pods: [gated] }))).toMatchObject({ phase: 'queued', reason: 'waiting-in-queue' });
  });
});
