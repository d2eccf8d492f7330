import { describe, expect, it } from '@jest/globals';
import type { RunNews } from '@luthier/contracts';
import type { KubeObject, Reflector, V1Event } from '@luthier/kube';
import { ObjectOwners } from './object-owners.js';
import { RunTimeline } from './run-timeline.js';

const RUN_ID = `run-${'a'.repeat(20)}`;
const labels = { 'luthier.dev/run-id': RUN_ID, 'luthier.dev/attempt': '2' };
const event = (uid: string, about: string): V1Event => ({
  metadata: { uid, resourceVersion: '1' },
  involvedObject: { kind: 'Pod', name: 'ft-a', uid: about },
  ...{ reason: 'Scheduled', type: 'Normal', count: 1 },
});

/** A watch that shows what the test says. */
function watched() {
  const owners = new ObjectOwners();
  let tell: Parameters<Reflector<KubeObject>['onChange']>[0] = () => undefined;
  owners.follow({ onChange: (listener) => ((tell = listener), () => undefined) });
  return {
    owners,
    shows: (object: KubeObject): void => tell(object.metadata?.uid ?? '', object, undefined),
    loses: (object: KubeObject): void => tell(object.metadata?.uid ?? '', undefined, object),
  };
}

function timeline(owners: ObjectOwners, events: V1Event[]) {
  const published: RunNews[] = [];
  let away = false;
  const publish = async (news: RunNews): Promise<void> => {
    if (away) throw new Error('NATS is away');
    published.push(news);
    return Promise.resolve();
  };
  const told = new RunTimeline({ events: { list: () => events }, owners, publish, logger: { warn: () => undefined } });
  return { told, published, goAway: (is: boolean): void => void (away = is) };
}

describe('the timeline of a run', () => {
  it('tells what was said of an object before the object was seen, once it is seen', async () => {
    const { owners, shows } = watched();
    const { told, published } = timeline(owners, [event('e1', 'pod-1')]);
    await told.sweep();
    expect(published).toEqual([]);
    shows({ metadata: { uid: 'pod-1', labels } });
    await told.sweep();
    await told.sweep();
    expect(published).toMatchObject([{ runId: RUN_ID, attempt: 2, event: { uid: 'e1' } }]);
  });

  it('knows Kueue’s record by the object that it belongs to', async () => {
    const { owners, shows } = watched();
    const record = { uid: 'w', ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name: 'ft-a-2', uid: 'job' }] };
    shows({ metadata: record });
    shows({ metadata: { uid: 'job', labels } });
    const { told, published } = timeline(owners, [event('e1', 'w')]);
    await told.sweep();
    expect(published).toMatchObject([{ runId: RUN_ID, attempt: 2 }]);
  });

  it('tells what is said of an object that has just gone', async () => {
    const { owners, shows, loses } = watched();
    const pod = { metadata: { uid: 'pod-1', labels } };
    shows(pod);
    loses(pod);
    const { told, published } = timeline(owners, [event('e1', 'pod-1')]);
    await told.sweep();
    expect(published).toHaveLength(1);
  });

  it('loses nothing while the stream is away', async () => {
    const { owners, shows } = watched();
    shows({ metadata: { uid: 'pod-1', labels } });
    const { told, published, goAway } = timeline(owners, [event('e1', 'pod-1')]);
    goAway(true);
    await expect(told.sweep()).rejects.toThrow('away');
    goAway(false);
    await told.sweep();
    expect(published).toHaveLength(1);
  });
});
