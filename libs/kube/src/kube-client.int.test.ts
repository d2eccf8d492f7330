import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Registry } from 'prom-client';
import type { SeenRequest } from '@luthier/testing/kube';
import { KubeMetrics } from './kube-metrics.js';
import { CONFIG_MAPS, JOBS, PODS, defineResource } from './resources.js';
import { job, startFakeCluster } from './testing/against-fake.js';
import type { FakeCluster } from './testing/against-fake.js';

const NS = 'training';
const WORKLOADS = defineResource({
  apiVersion: 'kueue.x-k8s.io/v1beta2',
  kind: 'Workload',
  plural: 'workloads',
  namespaced: true,
});
const method =
  (name: string) =>
  (request: SeenRequest): boolean =>
    request.method === name;

let cluster: FakeCluster;
beforeEach(async () => {
  cluster = await startFakeCluster();
});
afterEach(() => cluster.stop());
const asked = (name: string): number => cluster.fake.seen.filter(method(name)).length;

describe('KubeClient: reading and writing', () => {
  it('creates, reads, changes and deletes an object', async () => {
    const client = cluster.client();
    const made = await client.create(JOBS, job('ft-1'));
    expect(made.metadata?.uid).toBeDefined();
    expect(await client.get(JOBS, 'ft-1', NS)).toEqual(made);
    const patched = await client.mergePatch(JOBS, 'ft-1', NS, { spec: { suspend: false } });
    expect(patched.spec?.suspend).toBe(false);
    await client.delete(JOBS, 'ft-1', { namespace: NS, uid: made.metadata?.uid, propagation: 'Background' });
    expect(await client.get(JOBS, 'ft-1', NS)).toBeUndefined();
    await expect(client.delete(JOBS, 'ft-1', { namespace: NS })).resolves.toBeUndefined();
  });

  it('refuses a second object of the same name, and a write to a version that has changed', async () => {
    const client = cluster.client();
    const made = await client.create(JOBS, job('ft-1'));
    await expect(client.create(JOBS, job('ft-1'))).rejects.toMatchObject({ kind: 'already-exists', status: 409 });
    await client.mergePatch(JOBS, 'ft-1', NS, { metadata: { labels: { a: 'b' } } });
    await expect(client.replace(JOBS, made)).rejects.toMatchObject({ kind: 'conflict', reason: 'Conflict' });
  });

  it('deletes only the object that was meant: one of the same name with another uid stays', async () => {
    const client = cluster.client();
    await client.create(JOBS, job('ft-1'));
    await expect(client.delete(JOBS, 'ft-1', { namespace: NS, uid: 'another' })).rejects.toMatchObject({
      kind: 'conflict',
    });
    expect(await client.get(JOBS, 'ft-1', NS)).toBeDefined();
  });

  it('names the field that may not change', async () => {
    const client = cluster.client();
    const made = await client.create(JOBS, job('ft-1'));
    const changed = { ...made, spec: { template: { spec: { containers: [] } } } };
    await expect(client.replace(JOBS, changed)).rejects.toMatchObject({
      kind: 'invalid',
      causes: [{ field: 'spec.template' }],
    });
  });

  it('applies the same object again without a change, and takes its own fields away that it no longer names', async () => {
    const client = cluster.client();
    const map = (data: Record<string, string>) => ({ metadata: { name: 'run', namespace: NS }, data });
    const first = await client.apply(CONFIG_MAPS, map({ a: '1', b: '2' }));
    await client.mergePatch(CONFIG_MAPS, 'run', NS, { data: { foreign: 'x' } });
    const second = await client.apply(CONFIG_MAPS, map({ a: '1' }));
    expect(second.data).toEqual({ a: '1', foreign: 'x' });
    const third = await client.apply(CONFIG_MAPS, map({ a: '1' }));
    expect(third.metadata?.resourceVersion).toBe(second.metadata?.resourceVersion);
    expect(third.metadata?.uid).toBe(first.metadata?.uid);
  });

  it('writes the status by its own path alone', async () => {
    const client = cluster.client();
    await client.create(JOBS, job('ft-1'));
    await client.mergePatch(JOBS, 'ft-1', NS, { status: { active: 3 } });
    expect((await client.get(JOBS, 'ft-1', NS))?.status?.active).toBeUndefined();
    await client.mergePatch(JOBS, 'ft-1', NS, { status: { active: 3 } }, { subresource: 'status' });
    expect((await client.get(JOBS, 'ft-1', NS))?.status?.active).toBe(3);
  });

  it('leaves nothing behind after a dry run', async () => {
    const client = cluster.client();
    expect((await client.create(JOBS, job('ft-1'), { dryRun: true })).metadata?.name).toBe('ft-1');
    expect(await client.get(JOBS, 'ft-1', NS)).toBeUndefined();
  });

  it('lists in pages, by labels, with the kind in each object', async () => {
    const client = cluster.client();
    for (const index of [1, 2, 3, 4, 5])
      await client.create(JOBS, job(`ft-${index}`, { labels: { odd: `${index % 2}` } }));
    const page = await client.list(JOBS, { namespace: NS, limit: 2 });
    expect(page.items).toMatchObject([{ kind: 'Job', apiVersion: 'batch/v1' }, { kind: 'Job' }]);
    expect(page.continue).toBeDefined();
    const all = await client.listAll(JOBS, { namespace: NS, labelSelector: 'odd=1', limit: 2 });
    expect(all.items.map(({ metadata }) => metadata?.name)).toEqual(['ft-1', 'ft-3', 'ft-5']);
    expect((await client.listAll(JOBS, { namespace: 'other' })).items).toEqual([]);
  });

  it('begins a list anew whose pages grew too old, without doubles', async () => {
    const client = cluster.client();
    for (const index of [1, 2, 3]) await client.create(JOBS, job(`ft-${index}`));
    const unfault = cluster.fake.faults.add((request) => {
      if (request.query['continue'] === undefined) return undefined;
      cluster.fake.compact();
      unfault();
      return undefined;
    });
    const all = await client.listAll(JOBS, { limit: 1 });
    expect(all.items.map(({ metadata }) => metadata?.name)).toEqual(['ft-1', 'ft-2', 'ft-3']);
  });

  it('says that a kind is not installed, which is answered in plain text', async () => {
    const client = cluster.client();
    for (const call of [
      client.list(WORKLOADS),
      client.get(WORKLOADS, 'x', NS),
      client.delete(WORKLOADS, 'x', { namespace: NS }),
    ])
      await expect(call).rejects.toMatchObject({ kind: 'not-found', notServed: true });
    expect(await client.serves(WORKLOADS)).toBe(false);
    cluster.fake.install({ ...WORKLOADS });
    expect(await client.serves(WORKLOADS)).toBe(true);
    const found = await client.discover();
    expect([...found]).toEqual(
      expect.arrayContaining(['v1/pods', 'batch/v1/jobs', 'kueue.x-k8s.io/v1beta2/workloads']),
    );
    expect([...found].some((name) => name.includes('status'))).toBe(false);
  });

  it('says what the account may do, and names what was forbidden', async () => {
    cluster.fake.deny('list', 'jobs');
    const client = cluster.client();
    expect(await client.canI({ verb: 'list', group: 'batch', resource: 'jobs', namespace: NS })).toBe(false);
    expect(await client.canI({ verb: 'create', group: 'batch', resource: 'jobs', namespace: NS })).toBe(true);
    await expect(client.list(JOBS, { namespace: NS })).rejects.toMatchObject({
      kind: 'forbidden',
      message: expect.stringContaining('cannot list resource "jobs" in API group "batch" in the namespace "training"'),
    });
  });

  it('says that the token is not accepted, after one try', async () => {
    const client = cluster.client({ cluster: { server: cluster.fake.url, token: 'wrong' } });
    await expect(client.get(JOBS, 'x', NS)).rejects.toMatchObject({ kind: 'unauthorized', status: 401 });
    expect(asked('GET')).toBe(1);
  });
});

describe('KubeClient: a server that misbehaves', () => {
  it.each([429, 500, 502, 503, 504])('tries again after %i, until it is answered', async (status) => {
    cluster.fake.faults.next(method('GET'), { answer: { status, body: 'busy' } }, 2);
    const client = cluster.client();
    expect(await client.get(JOBS, 'x', NS)).toBeUndefined();
    expect(asked('GET')).toBe(3);
  });

  it('gives up after its number of tries, with the last answer', async () => {
    cluster.fake.faults.add(() => ({ answer: { status: 503, body: 'down' } }));
    await expect(cluster.client().get(JOBS, 'x', NS)).rejects.toMatchObject({ kind: 'server-error', status: 503 });
    expect(asked('GET')).toBe(4);
  });

  it('tries nothing again that the server has refused for good', async () => {
    cluster.fake.faults.add(() => ({ answer: { status: 422, body: 'no' } }));
    await expect(cluster.client().create(JOBS, job('ft-1'))).rejects.toMatchObject({ kind: 'invalid' });
    expect(asked('POST')).toBe(1);
  });

  it('waits as long as the server asks for', async () => {
    cluster.fake.faults.next(method('GET'), { answer: { status: 429, headers: { 'Retry-After': '1' } } });
    const started = performance.now();
    await cluster.client().get(JOBS, 'x', NS);
    expect(performance.now() - started).toBeGreaterThanOrEqual(990);
  });

  it('does not hold its caller up when the server wants a long rest, but says for how long', async () => {
    cluster.fake.faults.add(() => ({ answer: { status: 429, headers: { 'Retry-After': '600' } } }));
    await expect(cluster.client().get(JOBS, 'x', NS)).rejects.toMatchObject({
      kind: 'throttled',
      retryAfterMs: 600_000,
    });
    expect(asked('GET')).toBe(1);
  });

  it('meets its own object when the answer to its creation was lost', async () => {
    cluster.fake.faults.next(method('POST'), { cut: 'after' });
    const client = cluster.client();
    await expect(client.create(JOBS, job('ft-1'))).rejects.toMatchObject({ kind: 'already-exists' });
    expect(await client.get(JOBS, 'ft-1', NS)).toBeDefined();
  });

  it('creates no second object when the name is the API’s to choose and the answer was lost', async () => {
    cluster.fake.faults.next(method('POST'), { cut: 'after' });
    const client = cluster.client();
    const unnamed = { ...job(''), metadata: { generateName: 'ft-', namespace: NS } };
    await expect(client.create(JOBS, unnamed)).rejects.toMatchObject({ kind: 'unreachable' });
    expect((await client.listAll(JOBS)).items.length).toBe(1);
  });

  it.each(['PUT', 'PATCH', 'DELETE'])('repeats a %s whose connection was cut', async (name) => {
    const client = cluster.client();
    const made = await client.create(JOBS, job('ft-1'));
    cluster.fake.faults.next(method(name), { cut: 'before' });
    if (name === 'PUT') await client.replace(JOBS, made);
    else if (name === 'PATCH') await client.apply(JOBS, job('ft-1'));
    else await client.delete(JOBS, 'ft-1', { namespace: NS });
    expect(asked(name)).toBe(2);
  });

  it('ends a request that is not answered in time', async () => {
    cluster.fake.faults.add(() => ({ delayMs: 2_000 }));
    const call = cluster.client({ timeoutMs: 60 }).get(JOBS, 'x', NS);
    await expect(call).rejects.toMatchObject({ kind: 'timeout', message: expect.stringContaining('within 0.06 s') });
  });

  it('says that nobody listens at the address', async () => {
    const { url } = cluster.fake;
    const client = cluster.client({ cluster: { server: url }, maxTries: 2 });
    await cluster.fake.stop();
    await expect(client.get(JOBS, 'x', NS)).rejects.toMatchObject({ kind: 'unreachable', reason: 'ECONNREFUSED' });
  });

  it('refuses an answer beyond its bound, and one that is no JSON', async () => {
    const client = cluster.client({ maxAnswerBytes: 1_000 });
    cluster.fake.faults.next(method('GET'), { answer: { status: 200, body: 'x'.repeat(100_000) } });
    await expect(client.list(JOBS)).rejects.toMatchObject({ kind: 'server-error', reason: 'AnswerTooLarge' });
    cluster.fake.faults.next(method('GET'), { answer: { status: 200, body: '<html>hello</html>' } });
    await expect(client.list(JOBS)).rejects.toMatchObject({ kind: 'server-error', reason: 'UnreadableAnswer' });
  });

  it('ends a request whose caller has lost interest, with the caller’s reason', async () => {
    cluster.fake.faults.add(() => ({ delayMs: 2_000 }));
    const why = new Error('stopping');
    const stop = new AbortController();
    const call = cluster.client().get(JOBS, 'x', NS, stop.signal);
    stop.abort(why);
    await expect(call).rejects.toBe(why);
  });

  it('sends no more requests in a second than its limit, watches counted', async () => {
    const client = cluster.client({ qps: 20, burst: 2 });
    const started = performance.now();
    const { resourceVersion } = await client.list(PODS);
    const watch = client.watch(PODS, { resourceVersion, signal: AbortSignal.timeout(90_000) });
    const first = watch.next();
    await Promise.all([1, 2, 3, 4].map(() => client.get(JOBS, 'x', NS)));
    expect(performance.now() - started).toBeGreaterThanOrEqual(190);
    cluster.fake.put('v1/pods', { metadata: { name: 'p', namespace: NS } });
    expect((await first).value).toMatchObject({ type: 'ADDED' });
    await watch.return();
  });

  it('counts every try by verb, kind and outcome', async () => {
    const registry = new Registry();
    const client = cluster.client({ metrics: new KubeMetrics(registry) });
    cluster.fake.faults.next(method('GET'), { answer: { status: 503 } });
    await client.get(JOBS, 'x', NS);
    const text = await registry.metrics();
    expect(text).toContain('luthier_kube_requests_total{verb="get",resource="jobs",outcome="server-error"} 1');
    expect(text).toContain('luthier_kube_requests_total{verb="get",resource="jobs",outcome="not-found"} 1');
    expect(text).toContain('luthier_kube_request_duration_seconds_count{verb="get",resource="jobs"} 2');
  });
});
