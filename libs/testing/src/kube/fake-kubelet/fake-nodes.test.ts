import { beforeEach, describe, expect, it } from '@jest/globals';
import { KubeApiError } from '../kube-api.js';
import type { KubeApi } from '../kube-api.js';
import { waitFor } from '../../wait-for.js';
import { FakeNodes } from './fake-nodes.js';

const NODE = { name: 'gpu-1' };
const GPUS = 'nvidia.com/gpu';

describe('fake nodes', () => {
  let nodes: FakeNodes;
  /** What the API was asked, in its order; GPUs of each status. */
  let asked: string[];
  /** To the next statuses; to others at once. */
  let answers: (() => Promise<unknown>)[];

  beforeEach(async () => {
    asked = [];
    answers = [];
    const api = {
      call: async (_method: string, _path: string, { body }: { body: { status: { allocatable: object } } }) => {
        asked.push(`status ${(body.status.allocatable as Record<string, string>)[GPUS]}`);
        await answers.shift()?.();
      },
      apply: ({ kind }: { kind: string }) => Promise.resolve(asked.push(`apply ${kind}`)),
      delete: (path: string) => Promise.resolve(asked.push(`delete ${path.split('/').at(-2)}`)),
    };
    nodes = new FakeNodes(api as unknown as KubeApi, 0);
    await nodes.add(NODE);
    asked = [];
  });

  it('say what has changed after what they are just saying, never before it', async () => {
    const held = Promise.withResolvers<void>();
    answers = [() => held.promise];
    const beat = nodes.beat();
    await waitFor(() => asked.length === 1, { what: 'the beat to begin' });
    const set = nodes.setAllocatable(NODE.name, GPUS, '7');
    held.resolve();
    await Promise.all([beat, set]);
    expect(asked).toEqual(['status 8', 'apply Lease', 'status 7', 'apply Lease']);
  });

  it('may be removed while they say something: nobody is told, and nothing of them comes back', async () => {
    const held = Promise.withResolvers<void>();
    const gone = new KubeApiError(404, 'NotFound', 'nodes "gpu-1" not found');
    answers = [() => held.promise.then(() => Promise.reject(gone))];
    const beat = nodes.beat();
    await waitFor(() => asked.length === 1, { what: 'the beat to begin' });
    const later = nodes.beat();
    const removed = nodes.remove(NODE.name);
    held.resolve();
    await Promise.all([beat, later, removed]);
    expect(asked).toEqual(['status 8', 'delete nodes', 'delete leases']);
  });

  it('tell who asked that they could not say it, and say it the next time', async () => {
    answers = [() => Promise.reject(new Error('the API is away'))];
    await expect(nodes.beat()).rejects.toThrow('the API is away');
    await nodes.beat();
    expect(asked).toEqual(['status 8', 'status 8', 'apply Lease']);
  });

  it('say nothing while they are cut off', async () => {
    nodes.setOnline(NODE.name, false);
    await nodes.setAllocatable(NODE.name, GPUS, '7');
    await nodes.beat();
    expect(asked).toEqual([]);
  });
});
