import { describe, expect, it } from '@jest/globals';
import { newId } from '@luthier/contracts';
import type { Root } from './carriers/carrier.js';
import { ANNOTATION, LABEL, objectNameOf } from './names.js';
import { RunObjects } from './run-objects.js';

const runId = newId('run');
const name = objectNameOf(runId, 1);
const jobAt = (resourceVersion: string, annotations: Record<string, string> = {}): Root => ({
  metadata: { name, uid: 'u', resourceVersion, annotations, labels: { [LABEL.runId]: runId, [LABEL.attempt]: '1' } },
});

describe('the objects of a run', () => {
  it('are what was written last where the watch has not caught up: the next attempt must not forget a broken node', () => {
    let watched: Root | undefined;
    let changed: (key: string, now: Root | undefined, before: Root | undefined) => void = () => undefined;
    const show = (job: Root | undefined): void => {
      const before = watched;
      watched = job;
      changed('', job, before);
    };
    const objects = new RunObjects(
      {
        roots: [{ onChange: (listener) => ((changed = listener), () => undefined) }],
        pods: { onChange: () => () => undefined },
        nodes: { onChange: () => () => undefined },
      },
      () => undefined,
    );
    const avoided = (): (string | undefined)[] =>
      objects.roots(runId).map(({ metadata }) => metadata?.annotations?.[ANNOTATION.avoidNodes]);
    show(jobAt('5'));
    objects.wrote(jobAt('7', { [ANNOTATION.avoidNodes]: 'gpu-1' }));
    show(jobAt('6'));
    expect(avoided()).toEqual(['gpu-1']);
    show(jobAt('8', { [ANNOTATION.avoidNodes]: 'gpu-1,gpu-2' }));
    expect(avoided()).toEqual(['gpu-1,gpu-2']);
    show(undefined);
    expect(avoided()).toEqual([]);
  });

  it('are no root where a controller has made them of another one; events about them are looked for all the same', () => {
    const part = { apiVersion: 'v1', kind: 'JobSet', name, uid: 'u', controller: true };
    const root = jobAt('5');
    const job: Root = { metadata: { ...root.metadata, name: `${name}-node-0`, uid: 'j', ownerReferences: [part] } };
    const listeners: ((key: string, now: Root | undefined, before: Root | undefined) => void)[] = [];
    const watch = {
      onChange: (listener: (typeof listeners)[number]) => (listeners.push(listener), () => undefined),
    };
    const none = { onChange: () => () => undefined };
    const objects = new RunObjects({ roots: [watch], pods: none, nodes: none }, () => undefined);
    const tell = (now: Root | undefined, before: Root | undefined): void =>
      listeners.forEach((listener) => listener('', now, before));
    tell(job, undefined);
    expect(objects.roots(runId)).toEqual([]);
    tell(root, undefined);
    const key = { runId, attempt: 1 };
    expect(objects.root(key)?.metadata?.uid).toBe('u');
    expect(objects.parts(key)).toEqual(['j']);
    tell(undefined, job);
    expect(objects.parts(key)).toEqual([]);
  });
});
