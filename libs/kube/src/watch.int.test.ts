import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { waitFor } from '@luthier/testing';
import type { SeenRequest } from '@luthier/testing/kube';
import type { WatchOptions } from './client-options.js';
import { JOBS } from './resources.js';
import { job, startFakeCluster } from './testing/against-fake.js';
import type { FakeCluster } from './testing/against-fake.js';

const NS = 'training';
let cluster: FakeCluster;
beforeEach(async () => {
  cluster = await startFakeCluster({ bookmarkMs: 30 });
});
afterEach(() => cluster.stop());

async function events(options: Partial<WatchOptions>, count: number): Promise<string[]> {
  const found: string[] = [];
  const resourceVersion = '1';
  for await (const { type, object } of cluster.client().watch(JOBS, { namespace: NS, resourceVersion, ...options })) {
    if (type !== 'BOOKMARK') found.push(`${type} ${object.metadata?.name ?? ''}`);
    if (found.length >= count) break;
  }
  return found;
}

describe('KubeClient.watch', () => {
  it('tells what happened since the version, and what happens from then on', async () => {
    const client = cluster.client();
    const { resourceVersion } = await client.create(JOBS, job('a')).then((made) => made.metadata ?? {});
    await client.create(JOBS, job('b'));
    const seen = events({ resourceVersion: resourceVersion ?? '' }, 3);
    await waitFor(() => cluster.fake.openStreams === 1);
    await client.mergePatch(JOBS, 'b', NS, { spec: { suspend: false } });
    await client.delete(JOBS, 'a', { namespace: NS });
    expect(await seen).toEqual(['ADDED b', 'MODIFIED b', 'DELETED a']);
  });

  it('closes the connection when its reader leaves', async () => {
    await cluster.client().create(JOBS, job('a'));
    await events({}, 1);
    await waitFor(() => cluster.fake.openStreams === 0);
  });

  it('asks for bookmarks and an end after 4 to 5 minutes, and hands bookmarks out', async () => {
    const client = cluster.client();
    for await (const { type, object } of client.watch(JOBS, { resourceVersion: '2' })) {
      expect(type).toBe('BOOKMARK');
      expect(Number(object.metadata?.resourceVersion)).toBeGreaterThanOrEqual(2);
      break;
    }
    const query = cluster.fake.seen.find(({ watch }) => watch)?.query ?? {};
    expect(query).toMatchObject({ allowWatchBookmarks: 'true', resourceVersion: '2' });
    expect(Number(query['timeoutSeconds'])).toBeGreaterThanOrEqual(240);
    expect(Number(query['timeoutSeconds'])).toBeLessThan(300);
  });

  it('is gone when its version is too old, although the answer began with 200', async () => {
    for (const name of ['a', 'b', 'c']) await cluster.client().create(JOBS, job(name));
    cluster.fake.compact();
    await expect(events({ resourceVersion: '2' }, 1)).rejects.toMatchObject({ kind: 'gone', reason: 'Expired' });
  });

  it('notices a stream that has fallen silent', async () => {
    cluster.fake.faults.next(({ watch }) => watch, { silent: true });
    await expect(events({ silenceMs: 80 }, 1)).rejects.toMatchObject({ kind: 'timeout', reason: 'SilentStream' });
  });

  it('stays with a stream that only sends bookmarks', async () => {
    const started = performance.now();
    const silenceMs = 2_000;
    for await (const { type } of cluster.client().watch(JOBS, { resourceVersion: '2', silenceMs })) {
      expect(type).toBe('BOOKMARK');
      if (performance.now() - started > 1.2 * silenceMs) break;
    }
    expect(performance.now() - started).toBeGreaterThan(silenceMs);
  });

  it('says that it was cut, also in the middle of a line', async () => {
    const say = '{"type":"ADDED","object":{"metadata":{"name":"half';
    cluster.fake.faults.next(({ watch }) => watch, { say, thenCut: true });
    await expect(events({}, 1)).rejects.toMatchObject({ kind: 'unreachable' });
  });

  it('ends in order when the server ends it', async () => {
    cluster.fake.faults.next(({ watch }) => watch, { answer: { status: 200, body: '' } });
    expect(await events({}, 1)).toEqual([]);
  });

  it('refuses a line beyond its bound, and one that is no event', async () => {
    const watches = ({ watch }: SeenRequest): boolean => watch;
    cluster.fake.faults.next(watches, { say: `{"type":"ADDED","object":{"x":"${'x'.repeat(17 * 1024 * 1024)}"}}\n` });
    await expect(events({}, 1)).rejects.toMatchObject({ kind: 'server-error', reason: 'AnswerTooLarge' });
    for (const say of ['<html>\n', '{"type":"HELLO","object":{}}\n', '{"type":"ADDED"}\n', 'null\n']) {
      cluster.fake.faults.next(watches, { say });
      await expect(events({}, 1)).rejects.toMatchObject({ kind: 'server-error', reason: 'UnreadableAnswer' });
    }
  });

  it('ends with the reason of its caller, without a listener left behind', async () => {
    const stop = new AbortController();
    const seen = events({ signal: stop.signal }, 1);
    await waitFor(() => cluster.fake.openStreams === 1);
    const why = new Error('enough');
    stop.abort(why);
    await expect(seen).rejects.toBe(why);
    await waitFor(() => cluster.fake.openStreams === 0);
  });
});

describe('KubeClient logs', () => {
  const log = { namespace: NS, pod: 'p', container: 'main' };
  const line = (second: number, text: string): string =>
    `2026-01-01T00:00:${String(second).padStart(2, '0')}.000000001Z ${text}\n`;
  const pod = (phase: string): void => {
    const metadata = { name: 'p', namespace: NS };
    cluster.fake.put('v1/pods', { metadata, status: { phase } });
  };

  it('reads the end of a log, bounded', async () => {
    pod('Running');
    cluster.fake.setLog(NS, 'p', line(1, 'one') + line(2, 'two') + line(3, 'three'));
    const client = cluster.client();
    expect(await client.readLog({ ...log, tailLines: 2 })).toBe('two\nthree\n');
    expect(await client.readLog({ ...log, limitBytes: 5 })).toBe('one\nt');
    await expect(client.readLog({ ...log, pod: 'absent' })).rejects.toMatchObject({ kind: 'not-found' });
  });

  it('gives each line its time on request, and goes on from a second', async () => {
    pod('Running');
    cluster.fake.setLog(NS, 'p', line(1, 'one') + line(2, 'two'));
    const client = cluster.client();
    expect(await client.readLog({ ...log, timestamps: true, sinceTime: '2026-01-01T00:00:02Z' })).toBe(line(2, 'two'));
  });
});
