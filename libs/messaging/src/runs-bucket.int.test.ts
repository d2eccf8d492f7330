import type { NatsConnection } from '@nats-io/transport-node';
import { Kvm } from '@nats-io/kv';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { RUNS_BUCKET, newId } from '@luthier/contracts';
import type { RunStatus } from '@luthier/contracts';
import { startNats, waitFor } from '@luthier/testing';
import type { TestNats } from '@luthier/testing';
import { RevisionConflict, RunsBucket, provision } from './index.js';
import type { RunChange } from './index.js';

let nats: TestNats;
let connection: NatsConnection;
let bucket: RunsBucket;
const invalid: string[] = [];
const controller = { current: new AbortController() };

beforeEach(async () => {
  nats = await startNats();
  connection = await nats.connect();
  await provision(connection);
  invalid.length = 0;
  bucket = new RunsBucket(connection, (key) => invalid.push(key));
  controller.current = new AbortController();
});
afterEach(async () => {
  controller.current.abort();
  await nats.stop();
});

const status = (runId: string, changes: Partial<RunStatus> = {}): RunStatus => ({
  runId,
  attempt: 1,
  incarnation: 1,
  observedGeneration: 1,
  phase: 'running',
  reason: 'process-running',
  message: '',
  pods: [],
  ...changes,
});

/** Follows the watch into the state it describes, as a level-based reader does. */
function follow(relistIntervalMs?: number): { state: Map<string, RunStatus>; changes: RunChange<'status'>[] } {
  const state = new Map<string, RunStatus>();
  const changes: RunChange<'status'>[] = [];
  const signal = controller.current.signal;
  void (async () => {
    for await (const change of bucket.watch('status', {
      signal,
      ...(relistIntervalMs !== undefined && { relistIntervalMs }),
    })) {
      changes.push(change);
      if (change.type === 'list') {
        state.clear();
        for (const { runId, value } of change.entries) state.set(runId, value);
      } else if (change.type === 'put') state.set(change.entry.runId, change.entry.value);
      else state.delete(change.runId);
    }
  })();
  return { state, changes };
}

describe('the runs bucket', () => {
  it('gives back what was put, and nothing for an unknown run', async () => {
    const runId = newId('run');
    const revision = await bucket.put('status', status(runId));
    expect(await bucket.get('status', runId)).toEqual({ runId, value: status(runId), revision });
    expect(await bucket.get('spec', runId)).toBeUndefined();
  });

  it('lets only one of two writers win a compare-and-set', async () => {
    const runId = newId('run');
    const first = await bucket.compareAndSet('status', status(runId), 0);
    await expect(bucket.compareAndSet('status', status(runId), 0)).rejects.toBeInstanceOf(RevisionConflict);
    const second = await bucket.compareAndSet('status', status(runId, { message: 'two' }), first);
    await expect(bucket.compareAndSet('status', status(runId, { message: 'late' }), first)).rejects.toBeInstanceOf(
      RevisionConflict,
    );
    expect(await bucket.get('status', runId)).toMatchObject({ revision: second, value: { message: 'two' } });
  });

  it('can be created again after a deletion', async () => {
    const runId = newId('run');
    await bucket.put('status', status(runId));
    await bucket.delete('status', runId);
    expect(await bucket.get('status', runId)).toBeUndefined();
    await expect(bucket.compareAndSet('status', status(runId), 0)).resolves.toBeGreaterThan(0);
  });

  it('lists one side only, and leaves out what does not match the contract, with a notice', async () => {
    const ids = [newId('run'), newId('run')];
    for (const runId of ids) await bucket.put('status', status(runId));
    const kv = await new Kvm(connection).open(RUNS_BUCKET);
    await kv.put(`${newId('run')}.status`, '{"phase":"dancing"}');
    const listed = await bucket.list('status');
    expect(listed.map(({ runId }) => runId).sort()).toEqual([...ids].sort());
    expect(invalid).toHaveLength(1);
    expect(await bucket.list('spec')).toEqual([]);
  });
});

describe('watching the runs bucket', () => {
  it('begins with a list and then tells every change', async () => {
    const [old, fresh] = [newId('run'), newId('run')];
    await bucket.put('status', status(old));
    const { state, changes } = follow();
    await waitFor(() => state.has(old));
    expect(changes[0]?.type).toBe('list');
    await bucket.put('status', status(fresh));
    await waitFor(() => state.has(fresh));
    await bucket.delete('status', old);
    await waitFor(() => !state.has(old));
  });

  it('sees what changed while the server was away, also when it comes back empty', async () => {
    const [before, after] = [newId('run'), newId('run')];
    const { state } = follow();
    await bucket.put('status', status(before));
    await waitFor(() => state.has(before));
    await nats.wipe();
    await waitFor(() => provision(connection));
    await waitFor(() => !state.has(before));
    await waitFor(() => bucket.put('status', status(after)));
    await waitFor(() => state.has(after));
  });

  it('lists again at each interval', async () => {
    const { changes } = follow(50);
    await waitFor(() => changes.filter(({ type }) => type === 'list').length >= 4);
  });
});
