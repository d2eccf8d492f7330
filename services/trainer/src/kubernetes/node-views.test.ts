import { describe, expect, it } from '@jest/globals';
import type { ChangeListener, V1Node, V1ResourceSlice } from '@luthier/kube';
import { NodeViews } from './node-views.js';

const GPU = 'nvidia.com/gpu';
const node = (ready: 'True' | 'False' | 'Unknown', gpus = 8, heartbeat = '2026-01-01T00:00:00Z'): V1Node => ({
  metadata: { name: 'gpu-1' },
  status: {
    capacity: { [GPU]: '8' },
    allocatable: { [GPU]: String(gpus) },
    conditions: [
      { type: 'Ready', status: ready, lastTransitionTime: '2026-01-01T00:00:00Z', lastHeartbeatTime: heartbeat },
    ],
  },
});

function watched(
  first: V1Node,
  slices: V1ResourceSlice[] = [],
  ask: (name: string) => Promise<V1Node | undefined> = () => Promise.resolve(undefined),
): { views: NodeViews; show: (next: V1Node | undefined) => void; lists: () => number } {
  let now: V1Node | undefined = first;
  let lists = 0;
  let changed: ChangeListener<V1Node> = () => undefined;
  const nodes = {
    list: () => (lists++, now ? [now] : []),
    onChange: (listener: ChangeListener<V1Node>) => ((changed = listener), () => undefined),
  };
  const views = new NodeViews(nodes, { list: () => slices, onChange: () => () => undefined }, ask);
  const show = (next: V1Node | undefined): void => {
    const before = now;
    now = next;
    changed('gpu-1', next, before);
  };
  return { views, show, lists: () => lists };
}

describe('NodeViews', () => {
  it('shows what a node has of a resource, and how much of it is broken', () => {
    const { views, show } = watched(node('True'));
    expect(views.with(GPU)).toEqual([{ name: 'gpu-1', ready: true, since: Date.parse('2026-01-01'), gpus: 8 }]);
    show(node('True', 7));
    expect(views.with(GPU)).toMatchObject([{ gpus: 7, brokenGpus: 1 }]);
    show(undefined);
    expect(views.with(GPU)).toEqual([]);
  });

  it('does not say how many there are where a driver hands them out by claims', () => {
    const spec = {
      driver: 'gpu.nvidia.com',
      nodeName: 'gpu-1',
      pool: { name: 'p', generation: 1, resourceSliceCount: 1 },
    };
    expect(watched(node('True', 0), [{ spec }]).views.with(GPU)[0]).not.toHaveProperty('gpus');
  });

  it('shows a node as the API has it now where the watch may be behind, and as the watch has it where that cannot be asked', async () => {
    const { views } = watched(node('True'), [], () => Promise.resolve(node('True', 7)));
    expect(await views.withFresh(['gpu-1'], GPU)).toMatchObject([{ gpus: 7, brokenGpus: 1 }]);
    expect(await views.withFresh([], GPU)).toMatchObject([{ gpus: 8 }]);
    const away = watched(node('True'), [], () => Promise.reject(new Error('unreachable'))).views;
    expect(await away.withFresh(['gpu-1'], GPU)).toMatchObject([{ gpus: 8 }]);
  });

  it('looks through the nodes again only after a change that shows', () => {
    const { views, show, lists } = watched(node('True'));
    views.with(GPU);
    const before = lists();
    show(node('True', 8, '2026-01-01T00:00:10Z'));
    views.with(GPU);
    expect(lists()).toBe(before);
    show(node('Unknown'));
    expect(views.with(GPU)).toMatchObject([{ ready: false }]);
  });

  it('calls silent what does not answer, not what says itself that it is not ready', () => {
    const { views, show } = watched(node('Unknown'));
    expect(views.silent()).toEqual([{ name: 'gpu-1', sinceMs: Date.parse('2026-01-01') }]);
    show(node('False'));
    expect(views.silent()).toEqual([]);
    show(node('Unknown'));
    show(undefined);
    expect(views.silent()).toEqual([]);
  });
});
