import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { waitFor } from '@luthier/testing';
import { Registry } from 'prom-client';
import { KubeMetrics } from './kube-metrics.js';
import type { V1Job } from './objects.js';
import { Reflector } from './reflector.js';
import type { ReflectorOptions } from './reflector.js';
import { JOBS, defineResource } from './resources.js';
import { job, startFakeCluster } from './testing/against-fake.js';
import type { FakeCluster } from './testing/against-fake.js';

const NS = 'training';
let cluster: FakeCluster;
const running: Reflector<V1Job>[] = [];
beforeEach(async () => {
  cluster = await startFakeCluster({ bookmarkMs: 50 });
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((reflector) => reflector.stop()));
  await cluster.stop();
});

function reflect(options: Partial<ReflectorOptions<V1Job>> = {}): { jobs: Reflector<V1Job>; told: string[] } {
  const jobs = new Reflector({
    client: cluster.client(),
    resource: JOBS,
    namespace: NS,
    backoff: { baseMs: 10, maxMs: 40 },
    ...options,
  });
  running.push(jobs);
  const told: string[] = [];
  jobs.onChange((key, now, before) => told.push(`${before ? (now ? '~' : '-') : '+'}${key}`));
  jobs.start();
  return { jobs, told };
}
const put = (name: string): unknown => cluster.fake.put('batch/v1/jobs', job(name));
const remove = (name: string): void => cluster.fake.remove('batch/v1/jobs', NS, name);
const names = (jobs: Reflector<V1Job>): unknown[] => jobs.list().map(({ metadata }) => metadata?.name);

describe('Reflector', () => {
  it('holds what there is and tells what changes', async () => {
    put('a');
    const { jobs, told } = reflect();
    await jobs.whenSynced();
    expect(jobs.get('training/a')?.metadata?.name).toBe('a');
    put('b');
    put('a');
    remove('b');
    await waitFor(() => told.length === 4);
    expect(told).toEqual(['+training/a', '+training/b', '~training/a', '-training/b']);
    expect(names(jobs)).toEqual(['a']);
    expect(jobs.connected).toBe(true);
  });

  it('lists in pages, and keeps no managed fields nor what its owner trims', async () => {
    for (let index = 0; index < 1_050; index += 1)
      cluster.fake.put('batch/v1/jobs', {
        ...job(`j${index}`),
        metadata: { name: `j${index}`, namespace: NS, managedFields: [{}] },
      });
    const { jobs } = reflect({
      trim: ({ metadata, status }) => ({ ...(metadata && { metadata }), ...(status && { status }) }),
    });
    await jobs.whenSynced();
    expect(jobs.list().length).toBe(1_050);
    expect(cluster.fake.seen.filter(({ query }) => query['limit'] === '500').length).toBe(3);
    expect(jobs.list().some((one) => one.spec !== undefined || one.metadata?.managedFields !== undefined)).toBe(false);
    put('late');
    expect((await waitFor(() => jobs.get('training/late'))).spec).toBeUndefined();
  });

  it('goes on from where it was when its stream is cut, without listing again', async () => {
    const { jobs, told } = reflect();
    await waitFor(() => jobs.connected);
    for (const name of ['a', 'b', 'c']) {
      cluster.fake.cutStreams();
      put(name);
      await waitFor(() => jobs.get(`training/${name}`));
    }
    expect(told).toEqual(['+training/a', '+training/b', '+training/c']);
    expect(cluster.fake.seen.filter(({ watch }) => !watch).length).toBe(1);
  });

  it('lists again after 410 and tells the deletions that it missed', async () => {
    for (const name of ['stays', 'goes', 'replaced']) put(name);
    const { jobs, told } = reflect();
    await waitFor(() => jobs.connected);
    const before = jobs.get('training/replaced')?.metadata?.uid;
    // Away while things change and history is forgotten.
    const reachable = cluster.fake.faults.add(() => ({ cut: 'before' }));
    cluster.fake.cutStreams();
    await waitFor(() => !jobs.connected);
    told.length = 0;
    remove('goes');
    remove('replaced');
    put('replaced');
    put('new');
    cluster.fake.compact();
    reachable();
    await waitFor(() => jobs.get('training/new'));
    expect(told.sort()).toEqual(['+training/new', '+training/replaced', '-training/goes', '-training/replaced']);
    expect(jobs.get('training/replaced')?.metadata?.uid).not.toBe(before);
    expect(names(jobs).sort()).toEqual(['new', 'replaced', 'stays']);
  });

  it('opens a stream anew that has fallen silent', async () => {
    cluster.fake.faults.next(({ watch }) => watch, { silent: true });
    const { jobs } = reflect({ silenceMs: 300 });
    await waitFor(() => jobs.connected);
    put('a');
    await waitFor(() => jobs.get('training/a'));
  });

  it('lives through everything that a server can do to it', async () => {
    const { jobs } = reflect();
    const watches = ({ watch }: { watch: boolean }): boolean => watch;
    cluster.fake.faults.next(watches, { say: 'nonsense\n' });
    cluster.fake.faults.next(watches, { answer: { status: 200, body: '{"type":"ERROR","object":null}\n' } });
    cluster.fake.faults.next(watches, { answer: { status: 500, body: 'broken' } });
    cluster.fake.faults.next(watches, { answer: { status: 403, body: 'no' } });
    cluster.fake.faults.next(watches, { say: '{"type":"ADDED","object":{"metadata":null}}\n', thenCut: true });
    cluster.fake.faults.next((request) => !request.watch, { answer: { status: 200, body: '{"items":[null]}' } }, 1);
    cluster.fake.faults.next((request) => !request.watch, { answer: { status: 200, body: 'null' } }, 1);
    for (let index = 0; index < 10; index += 1) {
      cluster.fake.cutStreams();
      put(`j${index}`);
      await waitFor(() => jobs.get(`training/j${index}`));
    }
    await waitFor(() => names(jobs).length === 10);
  });

  it('is not disturbed by a listener that throws or rejects', async () => {
    const logged: unknown[] = [];
    const logger = { debug: () => {}, info: () => {}, warn: () => {}, error: (fields: object) => logged.push(fields) };
    const { jobs, told } = reflect({ logger });
    jobs.onChange(() => {
      throw new Error('bad listener');
    });
    // eslint-disable-next-line @typescript-eslint/no-misused-promises -- the mistake is what is tested
    jobs.onChange(() => Promise.reject(new Error('worse listener')));
    put('a');
    put('b');
    await waitFor(() => logged.length === 4);
    expect(told).toEqual(['+training/a', '+training/b']);
  });

  it('waits for a kind that is not installed, and begins when it has come', async () => {
    const workloads = defineResource<V1Job>({
      apiVersion: 'kueue.x-k8s.io/v1beta2',
      kind: 'Workload',
      plural: 'workloads',
      namespaced: true,
    });
    const { jobs } = reflect({ resource: workloads, absentRecheckMs: 100 });
    await jobs.whenSynced();
    expect([jobs.absent, jobs.connected, jobs.list()]).toEqual([true, false, []]);
    const lists = (): number => cluster.fake.seen.filter(({ path }) => path.endsWith('/workloads')).length;
    await waitFor(() => cluster.fake.seen.filter(({ path }) => path.endsWith('/v1beta2')).length >= 2);
    expect(lists()).toBe(1);
    cluster.fake.install({ ...workloads });
    cluster.fake.put('kueue.x-k8s.io/v1beta2/workloads', { metadata: { name: 'w', namespace: NS } });
    await waitFor(() => jobs.get('training/w'));
    expect(jobs.absent).toBe(false);
  });

  it('pauses between failures instead of asking without end', async () => {
    const asked: number[] = [];
    cluster.fake.faults.add(() => {
      asked.push(performance.now());
      return { answer: { status: 403, body: 'no' } };
    });
    const { jobs } = reflect({ backoff: { baseMs: 100, maxMs: 200 } });
    await waitFor(() => asked.length === 7);
    // At least 50 ms once, and then 100 ms each time.
    expect((asked[6] ?? 0) - (asked[0] ?? 0)).toBeGreaterThan(530);
    expect(jobs.connected).toBe(false);
  });

  it('runs once however often it is started, stops at once, and goes on later', async () => {
    const { jobs, told } = reflect();
    jobs.start();
    await waitFor(() => jobs.connected);
    expect(cluster.fake.openStreams).toBe(1);
    await jobs.stop();
    await jobs.stop();
    expect(jobs.connected).toBe(false);
    await waitFor(() => cluster.fake.openStreams === 0);
    put('a');
    jobs.start();
    await waitFor(() => jobs.get('training/a'));
    expect(told).toEqual(['+training/a']);
  });

  it('does not wait for ever on behalf of a caller that stops waiting', async () => {
    cluster.fake.faults.add(() => ({ cut: 'before' }));
    const { jobs } = reflect();
    await expect(jobs.whenSynced(AbortSignal.timeout(50))).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  it('shows in metrics whether it is connected and how old its knowledge is', async () => {
    const registry = new Registry();
    const { jobs } = reflect({ metrics: new KubeMetrics(registry) });
    const labels = '{resource="jobs",namespace="training"}';
    await waitFor(() => jobs.connected);
    expect(await registry.metrics()).toContain(`luthier_kube_watch_connected${labels} 1`);
    const fresh = jobs.lastSyncAgeMs;
    cluster.fake.faults.add(() => ({ cut: 'before' }));
    cluster.fake.cutStreams();
    await waitFor(() => !jobs.connected && jobs.lastSyncAgeMs > fresh + 200);
    const text = await registry.metrics();
    expect(text).toContain(`luthier_kube_watch_connected${labels} 0`);
    expect(Number(/last_sync_age_seconds\{[^}]*\} (\S+)/.exec(text)?.[1])).toBeGreaterThan(0.2);
    await jobs.stop();
    expect(await registry.metrics()).not.toContain('resource="jobs",namespace');
  });
});
