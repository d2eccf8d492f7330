import { describe, expect, it } from '@jest/globals';
import type { V1Pod } from '@luthier/kube';
import type { Root } from './carriers/carrier.js';
import { ANNOTATION, LABEL } from './names.js';
import { observeAttempt } from './observe-attempt.js';
import type { AttemptView, Judges } from './observe-attempt.js';

const NOW = Date.parse('2026-01-01T00:10:00Z');
const QUIET: Judges = { waiting: () => undefined, silence: () => ({}) };

const job = (
  over: {
    completions?: number;
    suspend?: boolean;
    held?: boolean;
    done?: boolean;
    leaving?: boolean;
    queue?: string;
  } = {},
): Root => ({
  metadata: {
    uid: 'job-uid',
    ...(over.queue !== undefined && { labels: { [LABEL.kueueQueue]: over.queue } }),
    annotations: over.held ? {} : { [ANNOTATION.prepared]: 'true' },
    ...(over.leaving && { deletionTimestamp: '2026-01-01T00:09:00Z' }),
  },
  spec: { completions: over.completions ?? 1, suspend: over.suspend ?? false },
  status: over.done ? { conditions: [{ type: 'Failed', status: 'True' }] } : {},
});

interface PodWish {
  index?: number;
  phase?: string;
  /** Until when it had time to go. */
  leaving?: boolean | string;
  node?: string;
  tracked?: boolean;
}
const pod = (
  uid: string,
  { index = 0, phase = 'Running', leaving, node = 'n1', tracked = true }: PodWish = {},
): V1Pod => ({
  metadata: {
    uid,
    finalizers: tracked ? ['batch.kubernetes.io/job-tracking'] : [],
    labels: { [LABEL.completionIndex]: String(index) },
    ...(leaving && { deletionTimestamp: leaving === true ? '2026-01-01T00:09:00Z' : leaving }),
  },
  spec: { nodeName: node, containers: [] },
  status: {
    phase,
    containerStatuses: [
      {
        name: 'run',
        image: '',
        imageID: '',
        ready: true,
        restartCount: 0,
        state: phase === 'Running' ? { running: {} } : {},
      },
    ],
  },
});

const see = (view: Partial<AttemptView>) =>
  observeAttempt({ root: job(), pods: [], silentNodes: [], now: NOW, ...view }, undefined, QUIET);

describe('what there is of an attempt', () => {
  it('is nothing without Job and pods', () => expect(see({ root: undefined })).toEqual({ state: 'absent' }));

  it('is held until everything its pods need is there', () =>
    expect(see({ root: job({ held: true, suspend: true }) })).toMatchObject({ state: 'live', held: true, idle: true }));

  it('has no set of pods while one is missing', () =>
    expect(see({ root: job({ completions: 2 }), pods: [pod('a')] })).toMatchObject({ pods: [], training: false }));

  it('trains when the containers of a complete set run', () =>
    expect(see({ root: job({ completions: 2 }), pods: [pod('a'), pod('b', { index: 1 })] })).toMatchObject({
      pods: ['a', 'b'],
      training: true,
    }));

  it('does not count a pod on its way out into the set', () =>
    expect(see({ pods: [pod('a', { leaving: true })] })).toMatchObject({ state: 'live', pods: [] }));

  it('has ended when all its pods have, before the Job says so', () =>
    expect(see({ pods: [pod('a', { phase: 'Failed' })] })).toEqual({ state: 'ended' }));

  it('has not ended while one of its pods may still write', () =>
    expect(
      see({ root: job({ completions: 2, done: true }), pods: [pod('a', { phase: 'Failed' }), pod('b', { index: 1 })] }),
    ).toMatchObject({ state: 'live', pods: [] }));

  it('has ended by its Job when the pods are gone', () =>
    expect(see({ root: job({ done: true }) })).toEqual({ state: 'ended' }));

  it('waits where a queue has suspended it, whatever pods there were', () =>
    expect(see({ root: job({ suspend: true }) })).toMatchObject({ state: 'live', pods: [], idle: true }));

  it('goes on with other pods when a queue has taken its own away, whether its Job is seen suspended or running again', () => {
    const taken = { leaving: true, tracked: false } as const;
    for (const suspend of [true, false]) {
      const queuedJob = job({ queue: 'team', suspend });
      const saving = see({ root: queuedJob, pods: [pod('a', taken)] });
      expect(saving).toMatchObject({ state: 'live', pods: [], training: false });
      expect(saving).not.toHaveProperty('idle');
      const gone = see({ root: queuedJob, pods: [pod('a', { ...taken, phase: 'Failed' })] });
      expect(gone).toMatchObject({ state: 'live', pods: [], idle: true });
    }
    const pods = [pod('a', { ...taken, phase: 'Failed' }), pod('b')];
    expect(see({ root: job({ queue: 'team' }), pods })).toMatchObject({ pods: ['b'], training: true });
  });

  it('has ended with pods of a queued run that end by themselves, or are evicted, or whose Job has failed', () => {
    const queuedJob = job({ queue: 'team' });
    expect(see({ root: queuedJob, pods: [pod('a', { phase: 'Failed' })] })).toEqual({ state: 'ended' });
    expect(see({ root: queuedJob, pods: [pod('a', { phase: 'Failed', leaving: true })] })).toEqual({ state: 'ended' });
    expect(see({ root: job({ queue: 'team', done: true }) })).toEqual({ state: 'ended' });
  });

  it('goes on leaving while a pod of a deleted Job runs, and is gone with the last one', () => {
    const deleted = job({ leaving: true });
    expect(see({ root: deleted, pods: [pod('a', { leaving: true })] })).toMatchObject({ state: 'live', leaving: true });
    expect(see({ root: deleted })).toEqual({ state: 'absent' });
  });

  it('gives up a pod that was told to go on a node silent for longer than nodes are waited for', () => {
    const pods = [pod('a', { leaving: true })];
    expect(see({ pods, silentNodes: [{ name: 'n1', sinceMs: NOW - 299_000 }] })).toMatchObject({ state: 'live' });
    expect(see({ pods, silentNodes: [{ name: 'n1', sinceMs: NOW - 300_000 }] })).toEqual({ state: 'ended' });
    expect(see({ pods, silentNodes: [{ name: 'other', sinceMs: 0 }] })).toMatchObject({ state: 'live' });
  });

  it('is cut off while a node that carries it is silent, and whose end was ordered is not waited for there', () => {
    const silentNodes = [{ name: 'n1', sinceMs: NOW - 1_000 }];
    expect(see({ pods: [pod('a')], silentNodes })).toMatchObject({ cutOff: true });
    expect(see({ pods: [pod('a', { node: 'n2' })], silentNodes })).not.toHaveProperty('cutOff');
    const deleted = job({ leaving: true });
    expect(see({ root: deleted, pods: [pod('a', { leaving: true })], silentNodes })).toEqual({ state: 'absent' });
    // Not told to go yet: it may still write.
    expect(see({ root: deleted, pods: [pod('a')], silentNodes })).toMatchObject({ state: 'live', leaving: true });
  });

  it('gives up a pod that does not go for as long as a silent node is waited for', () => {
    const since = (agoMs: number) => pod('a', { leaving: new Date(NOW - agoMs).toISOString() });
    expect(see({ root: job({ leaving: true }), pods: [since(299_000)] })).toMatchObject({ lookAgainInMs: 5_000 });
    expect(see({ root: job({ leaving: true }), pods: [since(300_000)] })).toEqual({ state: 'absent' });
  });
});
