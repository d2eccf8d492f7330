import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CONFIG_MAPS, JOBS, KubeClient, LEASES, LeaderElection, Reflector } from '@luthier/kube';
import type { KubeClientOptions, V1ConfigMap } from '@luthier/kube';
import { tempDir, waitFor } from '@luthier/testing';
import { startControlPlane } from '@luthier/testing/kube';
import type { ControlPlane } from '@luthier/testing/kube';

let plane: ControlPlane;
let client: KubeClient;
const toClose: KubeClient[] = [];

function connect(cluster: KubeClientOptions['cluster'], more: Partial<KubeClientOptions> = {}): KubeClient {
  const made = KubeClient.fromConfig({ cluster, fieldManager: 'luthier-trainer', ...more });
  toClose.push(made);
  return made;
}

beforeAll(async () => {
  plane = await startControlPlane();
  client = connect({ file: plane.kubeconfig });
}, 900_000);
afterAll(async () => {
  toClose.forEach((one) => one.close());
  await plane.stop();
});

const put = (namespace: string, name: string, value = '1'): Promise<V1ConfigMap> =>
  client.apply(CONFIG_MAPS, { metadata: { namespace, name, labels: { ours: 'yes' } }, data: { value } });
const reflect = (namespace: string): Reflector<V1ConfigMap> =>
  new Reflector({ client, resource: CONFIG_MAPS, namespace, labelSelector: 'ours=yes' });

describe('a client of a real API server', () => {
  it('verifies its certificate, and says so when it does not fit', async () => {
    const token = plane.adminToken;
    const ca = await readFile(plane.caFile, 'utf8');
    expect(await connect({ server: plane.server, token, ca }).serves(JOBS)).toBe(true);
    const trusting = connect({ server: plane.server, token }, { maxTries: 1 });
    await expect(trusting.serves(JOBS)).rejects.toThrow(/cannot be reached \(.*certificate/);
  });

  it('tells what its account may not do, in the words of the API', async () => {
    const namespace = await plane.createNamespace();
    const token = await plane.serviceAccountToken(namespace, 'nobody');
    const nobody = connect({ file: await plane.kubeconfigFor(token) });
    await expect(nobody.list(JOBS, { namespace })).rejects.toMatchObject({ kind: 'forbidden', status: 403 });
    expect(await nobody.canI({ verb: 'list', group: 'batch', resource: 'jobs', namespace })).toBe(false);
    expect(await client.canI({ verb: 'list', group: 'batch', resource: 'jobs', namespace })).toBe(true);
    const wrong = connect({ file: await plane.kubeconfigFor('wrong') });
    await expect(wrong.list(JOBS)).rejects.toMatchObject({ kind: 'unauthorized', status: 401 });
  });

  it('reads the token from the file that a kubeconfig names', async () => {
    const folder = await tempDir();
    const namespace = await plane.createNamespace();
    await writeFile(join(folder, 'token'), `${plane.tokenFor('from-file')}\n`);
    const text = await readFile(plane.kubeconfig, 'utf8');
    const file = join(folder, 'kubeconfig');
    await writeFile(file, text.replace(/"?token"?: *("[^"]*"|\S+)/, '"tokenFile": "token"'));
    await expect(connect({ file }).get(CONFIG_MAPS, 'x', namespace)).rejects.toMatchObject({
      kind: 'forbidden',
      message: expect.stringContaining('from-file') as unknown,
    });
  });

  it('holds a time-out of its own against a server that is stopped while it answers', async () => {
    const { 'kube-apiserver': pid } = await plane.pids();
    const hurried = connect({ file: plane.kubeconfig }, { timeoutMs: 300 });
    await waitFor(() => hurried.serves(JOBS), { what: 'an answer while the server runs' });
    process.kill(pid, 'SIGSTOP');
    try {
      // A process of many threads stops a moment after the signal.
      await waitFor(async () => (await readFile(`/proc/${pid}/stat`, 'utf8')).includes(') T '));
      await expect(hurried.serves(JOBS)).rejects.toMatchObject({ kind: 'timeout' });
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });
});

describe('a reflector of a real API server', () => {
  it('outlives the API server, and knows afterwards what has changed', async () => {
    const namespace = await plane.createNamespace();
    await put(namespace, 'stays');
    const maps = reflect(namespace);
    const told: string[] = [];
    maps.onChange((key, now) => told.push(`${now ? '+' : '-'}${key.split('/')[1] ?? ''}`));
    maps.start();
    try {
      await maps.whenSynced();
      await waitFor(() => maps.connected);
      await put(namespace, 'before');
      await waitFor(() => maps.get(`${namespace}/before`));
      await plane.stopApiServer();
      await waitFor(() => !maps.connected);
      expect(maps.list().length).toBe(2);
      await plane.startApiServer();
      await put(namespace, 'after');
      await client.delete(CONFIG_MAPS, 'before', { namespace });
      await waitFor(() => maps.get(`${namespace}/after`) && !maps.get(`${namespace}/before`));
      expect(told.slice(0, 2)).toEqual(['+stays', '+before']);
      // In the order of the changes only where the watch could go on; a list tells of all of them at once.
      expect(told.slice(2).sort()).toEqual(['+after', '-before']);
    } finally {
      await maps.stop();
    }
  });

  it('lists again when the API has forgotten where it was, and tells the deletions that it missed', async () => {
    const namespace = await plane.createNamespace();
    for (const name of ['stays', 'changes', 'goes', 'replaced']) await put(namespace, name);
    const maps = reflect(namespace);
    maps.start();
    try {
      await waitFor(() => maps.connected);
      await maps.stop();
      const told: string[] = [];
      maps.onChange((key, now, before) => told.push(`${before ? (now ? '~' : '-') : '+'}${key.split('/')[1] ?? ''}`));
      await put(namespace, 'changes', '2');
      for (const name of ['goes', 'replaced']) await client.delete(CONFIG_MAPS, name, { namespace });
      await put(namespace, 'replaced');
      await plane.forgetHistory();
      maps.start();
      await waitFor(() => told.length === 4);
      expect(told.sort()).toEqual(['+replaced', '-goes', '-replaced', '~changes']);
      expect(maps.list().some(({ metadata }) => metadata?.managedFields !== undefined)).toBe(false);
    } finally {
      await maps.stop();
    }
  });

  it('gets bookmarks, so that a quiet watch can be told from a dead one', async () => {
    const namespace = await plane.createNamespace();
    const { resourceVersion } = await client.list(CONFIG_MAPS, { namespace });
    const elsewhere = await plane.createNamespace();
    const puts: Promise<unknown>[] = [];
    const marks: number[] = [];
    // The API sends one a minute and one 2 s before it ends a watch; none before it has seen a change of the kind.
    for await (const { type, object } of client.watch(CONFIG_MAPS, {
      namespace,
      labelSelector: 'ours=yes',
      resourceVersion,
      lastsSeconds: 6,
      onOpen: () => puts.push(put(elsewhere, 'other')),
      signal: AbortSignal.timeout(90_000),
    })) {
      expect(type).toBe('BOOKMARK');
      marks.push(Number(object.metadata?.resourceVersion));
    }
    await Promise.all(puts);
    expect(marks.length).toBeGreaterThan(0);
    expect(marks.at(-1)).toBeGreaterThan(Number(resourceVersion));
  });
});

describe('leader election at a real API server', () => {
  it('changes hands at once in good order, and never has two at work over an outage of the API', async () => {
    const namespace = await plane.createNamespace();
    const spans: { who: string; from: number; to?: number }[] = [];
    const stops = new Map<string, AbortController>();
    const stand = (who: string): Promise<void> => {
      const stop = new AbortController();
      stops.set(who, stop);
      const times = { durationMs: 10_000, renewMs: 6_000, retryMs: 250 };
      return new LeaderElection({ client, namespace, name: 'trainer', identity: who, ...times }).run(
        (signal) =>
          new Promise((resolve) => {
            const span: (typeof spans)[number] = { who, from: performance.now() };
            spans.push(span);
            signal.addEventListener('abort', () => {
              span.to = performance.now();
              resolve();
            });
          }),
        stop.signal,
      );
    };
    const first = stand('a');
    await waitFor(() => spans.length === 1);
    const second = stand('b');
    await plane.stopApiServer();
    await waitFor(() => spans[0]?.to !== undefined);
    await plane.startApiServer();
    await waitFor(() => spans.length === 2);
    const leader = spans[1]?.who ?? '';
    stops.get(leader)?.abort();
    await waitFor(() => spans.length === 3, {
      timeoutMs: 9_000,
      what: 'the next to lead, before the lease would have run out',
    });
    for (const stop of stops.values()) stop.abort();
    await Promise.all([first, second]);
    for (let index = 1; index < spans.length; index += 1)
      expect(spans[index - 1]?.to ?? Infinity).toBeLessThanOrEqual(spans[index]?.from ?? 0);
    expect((await client.get(LEASES, 'trainer', namespace))?.spec?.holderIdentity).toBe('');
  });
});
