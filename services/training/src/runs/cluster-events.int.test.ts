import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { CLUSTER_EVENTS_PER_ATTEMPT, listJobEvents, readJobStream } from '@luthier/contracts';
import type { ClusterEvent, ResponseOf } from '@luthier/contracts';
import { waitFor } from '@luthier/testing';
import { TrainingFixture } from '../testing/training-fixture.js';

type JobEvent = ResponseOf<typeof listJobEvents>['items'][number];

const uid = (n: number): string => `8f14e45f-ceea-467f-9575-${String(n).padStart(12, '0')}`;
const clusterEvent = (over: Partial<ClusterEvent>): ClusterEvent => ({
  ...{ type: 'cluster-event', uid: uid(0), level: 'warn', what: 'Pod.FailedScheduling', reason: 'FailedScheduling' },
  ...{ message: 'No node takes a pod of the run at present.', excerpt: '0/2 nodes are available' },
  ...{ object: { kind: 'Pod', name: 'ft-1-0-abcde' }, count: 1 },
  ...{ firstAt: '2026-01-01T00:00:00.000Z', lastAt: '2026-01-01T00:00:00.000Z' },
  ...over,
});

describe('what the cluster says of a run', () => {
  let training: TrainingFixture;
  let jobId: string;
  let runId: string;
  beforeEach(async () => {
    training = await TrainingFixture.start();
    training.peers.script.push({ untilStopped: true });
    jobId = await training.create();
    runId = (await training.until(jobId, 'running')).runId ?? '';
  });
  afterEach(() => training.stop());

  const say = (over: Partial<ClusterEvent>, attempt = 1): Promise<void> =>
    training.bus.publishRunMessage({ runId, attempt, event: clusterEvent(over) });
  const told = async (): Promise<JobEvent[]> =>
    (await training.bus.request(listJobEvents, { jobId, limit: 200, order: 'asc' })).items.filter(
      ({ data }) => data?.['source'] === 'kubernetes',
    );
  /** What was told by the time that this last one is. */
  const toldWith = async (last: Partial<ClusterEvent>): Promise<JobEvent[]> => {
    await say(last);
    return waitFor(async () => {
      const events = await told();
      return events.some(({ data }) => data?.['reason'] === last.reason) ? events : undefined;
    });
  };

  it('stands in the list of events and in the live stream, with its own words', async () => {
    const [event] = await toldWith({ reason: 'FailedScheduling', node: 'gpu-1' });
    expect(event).toMatchObject({
      ...{ level: 'warn', type: 'message', message: 'No node takes a pod of the run at present.' },
      data: {
        ...{ source: 'kubernetes', attempt: 1, what: 'Pod.FailedScheduling', reason: 'FailedScheduling', count: 1 },
        ...{ object: { kind: 'Pod', name: 'ft-1-0-abcde' }, node: 'gpu-1', excerpt: '0/2 nodes are available' },
        ...{ first_at: '2026-01-01T00:00:00.000Z', last_at: '2026-01-01T00:00:00.000Z' },
      },
    });
    const { entries } = await training.bus.request(readJobStream, { jobId, after: 0, limit: 500 });
    expect(entries.filter(({ data }) => data['id'] === event?.id)).toHaveLength(1);
  });

  it('is told once however often it comes, and anew at ten and a hundred times, also after a restart', async () => {
    for (const count of [1, 1, 2, 9, 10, 37, 100, 101]) await say({ count });
    await toldWith({ uid: uid(1), reason: 'BackOff' });
    await training.restart();
    for (const count of [38, 102]) await say({ count }); // which the stream has not seen before
    const events = await toldWith({ uid: uid(2), reason: 'FailedMount' });
    expect(events.map(({ data }) => data?.['count'])).toEqual([1, 10, 100, 1, 1]);
  });

  it('fills no timeline: of one attempt a hundred are kept', async () => {
    for (let n = 1; n <= CLUSTER_EVENTS_PER_ATTEMPT + 20; n += 1) await say({ uid: uid(n) });
    // The run's next line is read after all of them.
    const event = { type: 'warning' as const, seq: 900, rank: 0, time: '2026-01-01T00:00:00.000Z' };
    const line = { ...event, code: 'said', message: 'The run says something.' };
    await training.bus.publishRunMessage({ runId, attempt: 1, incarnation: 1, event: line });
    const isRead = async (): Promise<boolean> => {
      const { items } = await training.bus.request(listJobEvents, { jobId, limit: 5, order: 'desc' });
      return items.some(({ message }) => message === line.message);
    };
    await waitFor(isRead, { what: 'the last line' });
    expect(await told()).toHaveLength(CLUSTER_EVENTS_PER_ATTEMPT);
  });

  it('is of no interest about another attempt, unless it is a warning', async () => {
    await say({ uid: uid(1), level: 'info', reason: 'Killing' }, 2);
    await say({ uid: uid(2), level: 'warn', reason: 'NodeNotReady' }, 2);
    const events = await toldWith({ uid: uid(3), reason: 'BackOff' });
    expect(events.map(({ data }) => data?.['reason'])).toEqual(['NodeNotReady', 'BackOff']);
  });
});
