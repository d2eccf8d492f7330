import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CLUSTER_EVENTS_PER_ATTEMPT, CLUSTER_HAPPENINGS, clusterEvent } from '@luthier/contracts';
import type { V1Event } from '@luthier/kube';
import { clusterEventOf } from './cluster-event.js';
import { asTold, eventsToTell } from './events-to-tell.js';
import type { Told } from './events-to-tell.js';
import { SENTENCES } from './sentences.js';

const RUN = { runId: `run-${'a'.repeat(20)}`, attempt: 1 };
let version = 0;
/** As kubelet and the controllers write them. */
const event = (over: Partial<V1Event> & { uid?: string } = {}): V1Event => {
  const { uid = `uid-${(version += 1)}`, ...rest } = over;
  return {
    metadata: { uid, resourceVersion: String((version += 1)), creationTimestamp: '2026-01-01T00:00:00Z' },
    involvedObject: { kind: 'Pod', name: 'ft-a-1-0-abcde', uid: 'pod-1' },
    ...{ reason: 'FailedMount', message: 'MountVolume.SetUp failed', type: 'Warning', count: 1 },
    ...{ firstTimestamp: '2026-01-01T00:00:00Z', lastTimestamp: '2026-01-01T00:01:00Z' },
    source: { component: 'kubelet', host: 'gpu-1' },
    ...rest,
  };
};
const ours = (): typeof RUN => RUN;
const tell = (events: V1Event[], told = new Map<string, Told>()) => {
  const due = eventsToTell(events, told, ours);
  for (const news of due) told.set(news.event.uid, asTold(news));
  return due.map((news) => news.event);
};

describe('an event of the cluster', () => {
  it('is told in a sentence of ours, with the cluster’s own words beside it', () => {
    expect(clusterEventOf(event({ uid: 'u' }))).toEqual({
      ...{ type: 'cluster-event', uid: 'u', level: 'warn', what: 'Pod.FailedMount', reason: 'FailedMount' },
      ...{ message: 'A volume cannot be mounted on node "gpu-1".', excerpt: 'MountVolume.SetUp failed' },
      ...{ object: { kind: 'Pod', name: 'ft-a-1-0-abcde' }, node: 'gpu-1', count: 1 },
      ...{ firstAt: '2026-01-01T00:00:00.000Z', lastAt: '2026-01-01T00:01:00.000Z' },
    });
  });

  it('is read whether its times and its count stand in it or in its series', () => {
    const { firstTimestamp: _f, lastTimestamp: _l, count: _c, ...bare } = event({ reason: 'FailedScheduling' });
    const series = { count: 7, lastObservedTime: '2026-01-01T00:09:00.000000Z' };
    expect(clusterEventOf({ ...bare, eventTime: '2026-01-01T00:00:00.123456Z', series })).toMatchObject({
      ...{ count: 7, firstAt: '2026-01-01T00:00:00.123Z', lastAt: '2026-01-01T00:09:00.000Z' },
    });
  });

  it('names the node that the scheduler has chosen', () => {
    const message = 'Successfully assigned luthier/ft-a-1-0-abcde to gpu-7';
    const source = { component: 'default-scheduler' };
    expect(clusterEventOf(event({ reason: 'Scheduled', type: 'Normal', message, source }))).toMatchObject({
      ...{ level: 'info', node: 'gpu-7', message: 'A pod of the run has got node "gpu-7".' },
    });
  });

  it('is told in its own words where there is no sentence for it', () => {
    const told = clusterEventOf(event({ reason: 'NetworkNotReady', message: 'cni plugin\u001b[31m not initialized' }));
    expect(told?.what).toBeUndefined();
    expect(told?.message).toBe('NetworkNotReady: cni plugin not initialized');
  });

  it('of Kueue’s that takes a place away is one, for whatever reason', () => {
    const involvedObject = { kind: 'Workload', name: 'job-ft-a-1', uid: 'w' };
    expect(clusterEventOf(event({ reason: 'EvictedDueToPreempted', involvedObject }))?.what).toBe('Workload.Evicted');
  });

  it('always fits the contract, whatever stands in it', () => {
    const text = fc.oneof(fc.string({ maxLength: 3_000 }), fc.constantFrom('\u0000', '\ud800', 'x'.repeat(2_000)));
    fc.assert(
      fc.property(text, text, text, text, fc.integer(), (kind, name, reason, message, count) => {
        const source = { component: 'kubelet', host: name };
        const read = clusterEventOf(event({ involvedObject: { kind, name }, reason, message, count, source }));
        if (read) expect(clusterEvent.parse(read)).toEqual(read);
      }),
    );
  });

  it('has a sentence for everything that the contract names', () => {
    expect(Object.keys(SENTENCES).sort()).toEqual([...CLUSTER_HAPPENINGS].sort());
    for (const say of Object.values(SENTENCES)) {
      for (const node of [undefined, 'gpu-1']) expect(say(node)).toMatch(/^[A-Z][^]*[a-z"]\.$/);
    }
  });
});

describe('what is told of a run', () => {
  it('is told once, and anew when it has happened ten and a hundred times', () => {
    const told = new Map<string, Told>();
    const counts = [1, 1, 4, 10, 11, 99, 250].flatMap((count) => tell([event({ uid: 'u', count })], told));
    expect(counts.map(({ count }) => count)).toEqual([1, 10, 250]);
  });

  it('comes in the order in which the API has taken it, although times are whole seconds', () => {
    const events = [event({ reason: 'First' }), event({ reason: 'Second' }), event({ reason: 'Third' })];
    expect(tell(events.toReversed()).map(({ reason }) => reason)).toEqual(['First', 'Second', 'Third']);
  });

  it('is a few of what all pods of a large run say alike, more of what is wrong, and never more than the bound', () => {
    const pods = (reason: string, type: string): V1Event[] => Array.from({ length: 64 }, () => event({ reason, type }));
    const told = new Map<string, Told>();
    expect(tell([...pods('Pulled', 'Normal'), ...pods('FailedMount', 'Warning')], told)).toHaveLength(4 + 16);
    expect(tell(pods('Pulled', 'Normal'), told)).toEqual([]);
    for (let n = 0; n < 30; n += 1) tell(pods(`Odd${n}`, 'Warning'), told);
    expect(told.size).toBe(CLUSTER_EVENTS_PER_ATTEMPT);
  });

  it('leaves out what is about objects of others, until it is known to be ours', () => {
    const events = [event()];
    expect(eventsToTell(events, new Map(), () => undefined)).toEqual([]);
    expect(eventsToTell(events, new Map(), ours)).toHaveLength(1);
  });
});
