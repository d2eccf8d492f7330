import { describe, expect, it } from '@jest/globals';
import { endOfWait, explainEnd } from './ending.js';
import { explainWaiting } from './waiting.js';
import { conditions, disrupted, exited, job, pod, running, view, waiting, workload } from './testing/golden.js';
import type { AttemptView, Ending, ViewedOutcome } from './view.js';

const failedJob = job({
  failed: 1,
  conditions: [conditions.of('Failed', 'True', 'BackoffLimitExceeded', 'Job has reached the specified backoff limit')],
});
const words = (given: object): string => JSON.stringify(given);

/** One case for each row of faults that end an attempt. */
const ROWS: readonly [row: string, Partial<AttemptView>, Partial<Ending>, ViewedOutcome[]?][] = [
  [
    'preempted by the scheduler',
    {
      pods: [
        exited(60, '', {
          conditions: [
            disrupted('PreemptionByScheduler', 'default-scheduler: preempting to accommodate a higher priority pod'),
          ],
        }),
      ],
      step: 1200,
    },
    {
      code: 'cluster.preempted',
      reason: 'preempted',
      message: 'Paused for a more urgent run at step 1200; resumes by itself.',
      infrastructure: true,
    },
  ],
  [
    'drained',
    {
      pods: [exited(137, '', { conditions: [disrupted('EvictionByEvictionAPI', 'Eviction API: evicting')] })],
      step: 40,
    },
    {
      code: 'cluster.evicted',
      reason: 'evicted',
      message: 'The cluster moved this run away from node "gpu-1"; it goes on from step 40.',
      infrastructure: true,
    },
  ],
  [
    'a node that shuts down',
    {
      pods: [
        pod({
          node: 'gpu-1',
          phase: 'Failed',
          reason: 'Terminated',
          message: 'Pod was terminated in response to imminent node shutdown.',
          conditions: [disrupted('TerminationByKubelet', 'Pod was terminated in response to imminent node shutdown.')],
        }),
      ],
    },
    { code: 'cluster.evicted', reason: 'evicted' },
  ],
  [
    'node pressure',
    {
      pods: [
        pod({
          node: 'gpu-1',
          phase: 'Failed',
          reason: 'Evicted',
          message: 'The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 9Gi.',
          conditions: [disrupted('TerminationByKubelet', 'The node was low on resource: ephemeral-storage.')],
        }),
      ],
    },
    {
      code: 'cluster.node-pressure',
      reason: 'node-pressure',
      message: 'Node "gpu-1" ran out of disk.',
      avoidNode: 'gpu-1',
      infrastructure: true,
    },
  ],
  [
    'node lost, and given up',
    {
      root: job({ active: 0, terminating: 1 }),
      pods: [
        running({
          deleting: true,
          conditions: [disrupted('DeletionByTaintManager', 'Taint manager: deleting due to NoExecute taint')],
        }),
      ],
      nodes: [{ name: 'gpu-1', ready: false, since: Date.parse('2026-11-24T10:02:00Z') }],
      step: 900,
    },
    {
      code: 'cluster.node-lost',
      reason: 'node-lost',
      message:
        'Node "gpu-1" stopped answering at 2026-11-24T10:02:00Z; the run goes on from step 900 when it is back, or on another node.',
      avoidNode: 'gpu-1',
      infrastructure: true,
    },
  ],
  [
    'node object deleted',
    {
      pods: [
        pod({
          node: 'gpu-1',
          phase: 'Failed',
          conditions: [disrupted('DeletionByPodGC', 'PodGC: node no longer exists')],
        }),
      ],
    },
    { code: 'cluster.node-lost', reason: 'node-lost' },
  ],
  [
    'a device that the node does not give',
    {
      pods: [
        pod({
          node: 'gpu-1',
          phase: 'Failed',
          reason: 'UnexpectedAdmissionError',
          message:
            'Allocate failed due to no healthy devices present; cannot allocate unhealthy devices nvidia.com/gpu, which is unexpected',
        }),
      ],
    },
    { code: 'cluster.node-refused', reason: 'node-refused', avoidNode: 'gpu-1', infrastructure: true },
  ],
  [
    'GPU fell off',
    { pods: [exited(1, 'RuntimeError: CUDA error: uncorrectable ECC error encountered\n')] },
    {
      code: 'cluster.gpu-fault',
      reason: 'gpu-fault',
      message: 'A GPU failed on node "gpu-1"; the run goes on on another node.',
      avoidNode: 'gpu-1',
      excerpt: 'RuntimeError: CUDA error: uncorrectable ECC error encountered',
      infrastructure: true,
    },
  ],
  [
    'XID',
    { pods: [exited(1, 'NVRM: Xid (PCI:0000:3b:00): 79, pid=4242, GPU has fallen off the bus.')] },
    {
      code: 'cluster.gpu-fault',
      params: { node: 'gpu-1', xid: '79' },
      message: 'A GPU failed (XID 79) on node "gpu-1"; the run goes on on another node.',
    },
  ],
  [
    'CUDA out of memory',
    {
      pods: [
        exited(
          42,
          words({
            code: 'device.out-of-memory',
            message: 'GPU memory ran out (needed about 26 GB, the card has 24 GB).',
            hint: 'Try batch 2.',
            step: 7,
            rank: 0,
            peakMemMiB: 24000,
          }),
        ),
      ],
    },
    {
      code: 'device.out-of-memory',
      reason: 'device-out-of-memory',
      message: 'GPU memory ran out (needed about 26 GB, the card has 24 GB).',
      hint: 'Try batch 2.',
      step: 7,
      infrastructure: false,
    },
  ],
  [
    'host OOMKilled',
    { pods: [exited(137, '', { why: 'OOMKilled' })] },
    {
      code: 'host.out-of-memory',
      reason: 'host-out-of-memory',
      message: 'System memory (not GPU memory) ran out: the limit of 32Gi was exceeded.',
      infrastructure: false,
    },
  ],
  [
    'exit 137 without OOMKilled',
    { pods: [exited(137)] },
    { code: 'runtime.killed', reason: 'killed', infrastructure: true },
  ],
  [
    'user data error',
    { pods: [exited(40, words({ code: 'data.bad', message: 'Row 12: field "output" is empty.', step: 0 }))] },
    { code: 'data.bad', reason: 'bad-data', message: 'Row 12: field "output" is empty.', infrastructure: false },
  ],
  [
    'user configuration error',
    { pods: [exited(41)] },
    { code: 'config.bad', reason: 'bad-configuration', message: 'The configuration cannot be run.' },
  ],
  ['unreadable model', { pods: [exited(44)] }, { code: 'model.unreadable', reason: 'model-unreadable' }],
  ['full disk', { pods: [exited(45)] }, { code: 'disk.full', reason: 'disk-full', infrastructure: false }],
  [
    'loss NaN',
    { pods: [exited(43, words({ code: 'training.diverged', step: 40 }))] },
    {
      code: 'training.diverged',
      reason: 'diverged',
      message: 'The loss became infinite or not a number at step 40.',
      step: 40,
      infrastructure: false,
    },
  ],
  [
    'storage unreachable',
    { pods: [exited(50)] },
    { code: 'storage.unreachable', reason: 'storage-unreachable', infrastructure: true },
  ],
  [
    'collective failed',
    { pods: [exited(51)] },
    { code: 'collective.failed', reason: 'collective-failed', infrastructure: true },
  ],
  [
    'left on request',
    { pods: [exited(60)] },
    { code: 'runtime.interrupted', reason: 'interrupted', infrastructure: true },
  ],
  [
    'crashed',
    { pods: [exited(1, 'Traceback: boom')] },
    { code: 'runtime.crashed', reason: 'crashed', excerpt: 'Traceback: boom' },
  ],
  [
    'deadline',
    {
      root: job({
        conditions: [
          conditions.of('Failed', 'True', 'DeadlineExceeded', 'Job was active longer than specified deadline'),
        ],
      }),
      step: 800,
    },
    {
      code: 'run.deadline-exceeded',
      reason: 'deadline-exceeded',
      message: 'Stopped at its time limit at step 800; its last checkpoint is kept.',
      infrastructure: false,
    },
  ],
  [
    'deleted by someone',
    { root: undefined },
    {
      code: 'run.deleted-externally',
      reason: 'deleted-externally',
      message: 'The Kubernetes job was deleted outside the platform.',
      infrastructure: false,
    },
  ],
  [
    'a workload that was switched off',
    { root: job({}, true), workload: workload({ active: false }) },
    {
      code: 'cluster.queue-rejected',
      reason: 'queue-deactivated',
      message: 'The run was switched off in queue "team-a".',
    },
  ],
  [
    'success',
    { pods: [exited(0)], root: job({ succeeded: 1 }) },
    { code: undefined, reason: 'succeeded', infrastructure: false },
    [{ message: 'Done.', step: 40 }],
  ],
];

describe('how an attempt ended', () => {
  it.each(ROWS)('%s', (_row, given, expected, outcomes = []) => {
    expect(explainEnd(view(given), outcomes)).toMatchObject(expected);
  });

  it('is not said while a pod may still end, a silent node may come back, or the queue holds the run', () => {
    expect(explainEnd(view({ pods: [exited(1), running({ index: 1 })], expectedPods: 2 }), [])).toBeUndefined();
    const nodes = [{ name: 'gpu-1', ready: false, since: Date.parse('2026-11-24T10:28:00Z') }];
    expect(explainEnd(view({ pods: [running()], nodes }), [])).toBeUndefined();
    expect(explainEnd(view({ root: job({}, true), workload: workload({}) }), [])).toBeUndefined();
    expect(explainEnd(view({ pods: [exited(1)], expectedPods: 2 }), [])).toBeUndefined();
  });

  it('is said at once when the grace after the first end is over', () => {
    const pods = [exited(42), running({ index: 1 })];
    expect(explainEnd(view({ pods, expectedPods: 2, final: true }), [])?.code).toBe('device.out-of-memory');
  });

  it.each([
    [
      'bad data before everything',
      [exited(40), exited(51, '', { index: 1 }), exited(137, '', { index: 2 })],
      'data.bad',
    ],
    ['memory before what its peers saw', [exited(51), exited(42, '', { index: 1 })], 'device.out-of-memory'],
    [
      'a lost node before what its peers saw',
      [exited(51), pod({ index: 1, node: 'gpu-2', phase: 'Failed', reason: 'NodeLost' })],
      'cluster.node-lost',
    ],
    ['a crash before what its peers saw', [exited(1), exited(51, '', { index: 1 })], 'runtime.crashed'],
    [
      'what a peer says of one that hangs, before how that was ended',
      [exited(51), exited(137, '', { index: 1, deleting: true })],
      'collective.failed',
    ],
    [
      'a kill before the end of those that were left',
      [exited(137), exited(51, '', { index: 1, deleting: true })],
      'runtime.killed',
    ],
    ['a kill of all that were told to go', [exited(137, '', { deleting: true })], 'runtime.killed'],
    ['one fault before any success', [exited(0), exited(60, '', { index: 1 })], 'runtime.interrupted'],
  ])('of several pods the most telling wins: %s', (_name, pods, code) => {
    expect(explainEnd(view({ pods, expectedPods: pods.length, root: failedJob }), [])?.code).toBe(code);
  });

  it('takes the words of a stored outcome and the node of the pod', () => {
    const outcome: ViewedOutcome = { code: 'collective.failed', message: 'Rank 3 did not answer.', step: 12 };
    const ending = explainEnd(view({ pods: [exited(51)] }), [outcome]);
    expect(ending).toMatchObject({ code: 'collective.failed', message: 'Rank 3 did not answer.', step: 12 });
  });

  it('a crash on a node that has given devices up is the device’s, and the node is avoided', () => {
    const nodes = [{ name: 'gpu-1', ready: true, gpus: 7, brokenGpus: 1 }];
    expect(explainEnd(view({ pods: [exited(1)], nodes }), [])).toMatchObject({
      ...{ code: 'cluster.gpu-fault', params: { node: 'gpu-1' }, avoidNode: 'gpu-1', infrastructure: true },
    });
    expect(explainEnd(view({ pods: [exited(40)], nodes }), [])?.code).toBe('data.bad');
    const elsewhere = [{ name: 'gpu-2', ready: true, gpus: 7, brokenGpus: 1 }];
    expect(explainEnd(view({ pods: [exited(1)], nodes: elsewhere }), [])?.code).toBe('runtime.crashed');
  });

  it('a wait that lasted too long ends as what it waited for', () => {
    const why = explainWaiting(view({ pods: [waiting('InvalidImageName', 'bad name')] }));
    expect(why && endOfWait(why)).toMatchObject({ code: 'cluster.image-unavailable', infrastructure: false });
  });
});
