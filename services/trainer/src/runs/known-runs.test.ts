import { beforeEach, describe, expect, it } from '@jest/globals';
import { newId } from '@luthier/contracts';
import type { RunSpec, RunStatus } from '@luthier/contracts';
import { RevisionConflict } from '@luthier/messaging';
import type { RunEntry, RunsBucket } from '@luthier/messaging';
import { KnownRuns } from './known-runs.js';

const runId = newId('run');
const entryOf = (value: Partial<RunSpec>): RunEntry<'spec'> => ({
  ...{ runId, revision: 1 },
  value: { runId, attempt: 1, ...value } as RunSpec,
});
const statusOf = (message: string): RunStatus => ({
  ...{ runId, attempt: 1, incarnation: 0, observedGeneration: 1, pods: [] },
  ...{ phase: 'creating', reason: 'process-starting', message },
});

describe('KnownRuns', () => {
  let stored: RunEntry<'status'> | undefined;
  let reads: number;
  let known: KnownRuns;
  beforeEach(() => {
    stored = undefined;
    reads = 0;
    const bucket = {
      get: () => (reads++, Promise.resolve(stored)),
      compareAndSet: (_side: 'status', value: RunStatus, revision: number) => {
        if ((stored?.revision ?? 0) !== revision) return Promise.reject(new RevisionConflict('changed'));
        stored = { runId, value, revision: revision + 1 };
        return Promise.resolve(stored.revision);
      },
    } as unknown as Pick<RunsBucket, 'get' | 'compareAndSet'>;
    known = new KnownRuns(bucket);
    known.listed([entryOf({})]);
  });

  it('asks the bucket once for what only this trainer writes', async () => {
    expect(await known.status(runId)).toBeUndefined();
    await known.write(statusOf('one'), undefined);
    await known.write(statusOf('two'), await known.status(runId));
    expect((await known.status(runId))?.value.message).toBe('two');
    expect(reads).toBe(1);
  });

  it('reads again what another trainer has written since', async () => {
    await known.status(runId);
    stored = { runId, value: statusOf('of the other'), revision: 7 };
    await expect(known.write(statusOf('mine'), undefined)).rejects.toBeInstanceOf(RevisionConflict);
    const entry = await known.status(runId);
    expect(entry?.value.message).toBe('of the other');
    await known.write(statusOf('mine'), entry);
    expect(stored.value.message).toBe('mine');
  });

  it('notices with the next change of the spec that the status was lost', async () => {
    await known.write(statusOf('one'), undefined);
    stored = undefined;
    known.saw(entryOf({ generation: 2 }));
    expect(await known.status(runId)).toBeUndefined();
  });

  it('notices with the next list that the bucket was emptied', async () => {
    await known.write(statusOf('one'), undefined);
    stored = undefined;
    known.listed([entryOf({})]);
    expect(await known.status(runId)).toBeUndefined();
  });

  it('knows no spec that the list does not have, and the newest that was told', () => {
    known.saw(entryOf({ attempt: 2 }));
    expect(known.spec(runId)?.attempt).toBe(2);
    known.listed([]);
    expect(known.spec(runId)).toBeUndefined();
  });

  it('counts phases while a list is being looked through as before it', async () => {
    await known.write(statusOf('one'), undefined);
    known.listed([entryOf({})]);
    expect([...known.phases()]).toEqual(['creating']);
    known.listed([]);
    expect([...known.phases()]).toEqual([]);
  });
});
