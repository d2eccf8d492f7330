import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { identityOf } from '@luthier/local-servers';
import { waitFor } from '@luthier/testing';
import { canRunKubernetes, evicted, startControlPlane } from '@luthier/testing/kube';
import type { ControlPlane, FakeKubelet, Fate, Pod } from '@luthier/testing/kube';
import { Pods, endOf } from './support/pods.js';

const withCluster = (await canRunKubernetes()) ? describe : describe.skip;

interface Job {
  status?: { succeeded?: number; conditions?: { type: string; status: string }[] };
}
interface Node {
  status: { conditions: { type: string; status: string }[] };
}

withCluster('a control plane with fake kubelets', () => {
  let cluster: ControlPlane;
  let kubelet: FakeKubelet;
  let pods: Pods;
  let namespace: string;
  let fate: (pod: Pod) => Fate;
  const gpus = (count: number): Record<string, unknown> => ({
    tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists' }],
    containers: [{ resources: { limits: { 'nvidia.com/gpu': String(count) } } }],
  });

  beforeAll(async () => {
    cluster = await startControlPlane();
    kubelet = await cluster.startKubelet({
      nodes: [{ name: 'plane-gpu-1' }, { name: 'plane-gpu-2' }, { name: 'plane-cpu', gpus: 0 }],
      fateOf: (pod) => fate(pod),
    });
    namespace = await cluster.createNamespace();
    pods = new Pods(cluster, namespace);
  }, 900_000);
  beforeEach(() => {
    fate = () => ({ type: 'run' });
  });
  afterAll(() => cluster.stop());

  it('runs an Indexed Job of two pods with eight GPUs each, one on each node, to its end', async () => {
    fate = ({ metadata }) => ({
      ...{ type: 'end', exitCode: 0, afterMs: 500 },
      log: [`rank ${metadata.annotations?.['batch.kubernetes.io/job-completion-index']}`],
    });
    const jobs = `/apis/batch/v1/namespaces/${namespace}/jobs`;
    await cluster.api.post(jobs, {
      metadata: { name: 'two' },
      spec: {
        ...{ completionMode: 'Indexed', completions: 2, parallelism: 2, backoffLimit: 0 },
        template: {
          spec: {
            ...gpus(8),
            restartPolicy: 'Never',
            containers: [
              { name: 'main', image: 'example.test/image', resources: { limits: { 'nvidia.com/gpu': '8' } } },
            ],
          },
        },
      },
    });
    const job = await waitFor(async () => {
      const found = await cluster.api.get<Job>(`${jobs}/two`);
      return found.status?.conditions?.some(({ type }) => type === 'Complete') === true ? found : undefined;
    });
    expect(job.status?.succeeded).toBe(2);
    const made = (await cluster.api.get<{ items: Pod[] }>(`/api/v1/namespaces/${namespace}/pods`)).items;
    expect(made.map(({ spec }) => spec.nodeName).sort()).toEqual(['plane-gpu-1', 'plane-gpu-2']);
    const logs = await Promise.all(made.map(({ metadata }) => pods.log(metadata.name)));
    expect(logs.sort()).toEqual(['rank 0\n', 'rank 1\n']);
  });

  it("leaves a pod that fits on no node pending, with the scheduler's words", async () => {
    await pods.create('sixteen', gpus(16));
    const pod = await pods.until('sixteen', ({ status }) => status?.conditions !== undefined, 'a condition');
    expect(pod.status?.conditions?.find(({ type }) => type === 'PodScheduled')).toMatchObject({
      status: 'False',
      reason: 'Unschedulable',
      message: expect.stringMatching(/^0\/3 nodes are available: 3 Insufficient nvidia\.com\/gpu/) as unknown,
    });
  });

  it('shows the scheduler that a GPU is gone, and that it is back', async () => {
    await kubelet.addNode({ name: 'plane-odd', labels: { odd: 'yes' }, allocatable: { 'nvidia.com/gpu': '7' } });
    await pods.create('eight', { ...gpus(8), nodeSelector: { odd: 'yes' } });
    const unschedulable = ({ status }: Pod): boolean => status?.conditions?.[0]?.reason === 'Unschedulable';
    await pods.until('eight', unschedulable, 'unschedulable');
    await kubelet.setAllocatable('plane-odd', 'nvidia.com/gpu', '8');
    await pods.untilPhase('eight', 'Running');
    await pods.delete('eight');
    await kubelet.removeNode('plane-odd');
  });

  it('lets a user do what RBAC allows and nothing else', async () => {
    const asEve = (path: string): Promise<Response> => ask(cluster, cluster.tokenFor('eve', ['readers']), path);
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const refused = await asEve(path);
    expect(await refused.json()).toMatchObject({ code: 403, reason: 'Forbidden' });
    await cluster.apply(`
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: read, namespace: ${namespace} }
rules: [{ apiGroups: [''], resources: [pods], verbs: [list] }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: read, namespace: ${namespace} }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: read }
subjects: [{ apiGroup: rbac.authorization.k8s.io, kind: Group, name: readers }]
`);
    await waitFor(async () => (await asEve(path)).status === 200);
    expect((await asEve(`/api/v1/namespaces/${namespace}/secrets`)).status).toBe(403);
    expect((await ask(cluster, `${cluster.tokenFor('eve', ['readers'])}x`, path)).status).toBe(401);
  });

  it('gives service accounts tokens that the API server knows', async () => {
    const token = await cluster.serviceAccountToken(namespace, 'trainer');
    const review = await ask(cluster, token, '/apis/authentication.k8s.io/v1/selfsubjectreviews', {});
    expect(await review.json()).toMatchObject({
      status: { userInfo: { username: `system:serviceaccount:${namespace}:trainer` } },
    });
  });

  it('keeps its state when the API server is killed, and hears afterwards what happened meanwhile', async () => {
    const pod = await pods.create('survivor', {});
    await pods.untilPhase('survivor', 'Running');
    await cluster.stopApiServer();
    await expect(pods.get('survivor')).rejects.toThrow();
    await kubelet.end(pod, { exitCode: 7, message: 'while nobody listened' });
    await cluster.startApiServer();
    const found = await pods.untilPhase('survivor', 'Failed');
    expect(found.metadata.uid).toBe(pod.metadata.uid);
    expect(endOf(found)).toMatchObject({ exitCode: 7, message: 'while nobody listened' });
  });

  it('answers 410 to whoever watches from before it forgot', async () => {
    const { metadata } = await cluster.api.get<{ metadata: { resourceVersion: string } }>('/api/v1/pods');
    await pods.create('newer', {});
    await pods.untilPhase('newer', 'Running');
    await cluster.forgetHistory();
    const events = cluster.api.watch<{ code?: number }>(
      '/api/v1/pods',
      { resourceVersion: metadata.resourceVersion },
      AbortSignal.timeout(90_000),
    );
    const first = await events.next();
    expect(first.value).toMatchObject({ type: 'ERROR', object: { code: 410, reason: 'Expired' } });
    await events.return(undefined);
  });

  it('finds a node NotReady that stops answering, and Ready when it is back; what ran there goes on', async () => {
    const ready = async (): Promise<string | undefined> =>
      (await cluster.api.get<Node>('/api/v1/nodes/plane-gpu-1')).status.conditions.find(({ type }) => type === 'Ready')
        ?.status;
    await pods.create('there', { ...gpus(1), nodeSelector: { 'kubernetes.io/hostname': 'plane-gpu-1' } });
    await pods.untilPhase('there', 'Running');
    kubelet.silence('plane-gpu-1');
    await waitFor(async () => (await ready()) === 'Unknown', { what: 'NotReady' });
    await expect(pods.log('there')).rejects.toThrow();
    await kubelet.restore('plane-gpu-1');
    await waitFor(async () => (await ready()) === 'True', { what: 'Ready' });
    expect((await pods.get('there')).status?.phase).toBe('Running');
    expect(await pods.log('there')).toBe('');
  });

  it('removes a deleted pod when its grace period is over, also when it ignores SIGTERM', async () => {
    fate = () => ({ type: 'run', onTerminate: 'ignored' });
    await pods.create('stubborn', {});
    await pods.untilPhase('stubborn', 'Running');
    const started = Date.now();
    await pods.delete('stubborn', '?gracePeriodSeconds=1');
    await pods.untilGone('stubborn');
    expect(Date.now() - started).toBeGreaterThanOrEqual(1_000);
  });

  it.each<[string, Fate, Partial<Pod['status']>, object]>([
    ['OOMKilled', { type: 'end', exitCode: 137, reason: 'OOMKilled' }, {}, { exitCode: 137, reason: 'OOMKilled' }],
    [
      'an eviction',
      { type: 'end', ...evicted('no disk') },
      { reason: 'Evicted', message: 'no disk' },
      { exitCode: 137 },
    ],
    [
      'last words',
      { type: 'end', exitCode: 42, message: '{"code":"x"}' },
      {},
      { exitCode: 42, message: '{"code":"x"}' },
    ],
  ])('shows %s as a kubelet does', async (name, end, status, terminated) => {
    fate = () => end;
    const pod = name.toLowerCase().replaceAll(/\W/g, '-');
    await pods.create(pod, {});
    const found = await pods.untilPhase(pod, 'Failed');
    expect(found.status).toMatchObject(status ?? {});
    expect(endOf(found)).toMatchObject(terminated);
    const disrupted = found.status?.conditions?.find(({ type }) => type === 'DisruptionTarget');
    expect(disrupted?.reason).toBe(name === 'an eviction' ? 'TerminationByKubelet' : undefined);
  });

  it('keeps a pod waiting whose image cannot be pulled, and lets it go when it is deleted', async () => {
    fate = () => ({ type: 'wait', reason: 'ImagePullBackOff', message: 'Back-off pulling image' });
    await pods.create('no-image', {});
    const waits = ({ status }: Pod): boolean =>
      status?.containerStatuses?.[0]?.state.waiting?.reason === 'ImagePullBackOff';
    const pod = await pods.until('no-image', waits, 'waiting');
    expect(pod.status).toMatchObject({ phase: 'Pending' });
    await expect(pods.log('no-image')).rejects.toThrow('is waiting to start: ImagePullBackOff');
    await pods.delete('no-image');
    await pods.untilGone('no-image');
  });

  it('passes logs through the API server: the end of them, some bytes of them, and as they come', async () => {
    fate = () => ({ type: 'run', log: ['one', 'two', 'three'] });
    const pod = await pods.create('talker', {});
    await pods.untilPhase('talker', 'Running');
    expect(await pods.log('talker', { tailLines: 2 })).toBe('two\nthree\n');
    expect(await pods.log('talker', { limitBytes: 5 })).toBe('one\nt');
    expect(await pods.log('talker', { timestamps: true, tailLines: 1 })).toMatch(/^\d{4}-.*\.\d{9}Z three\n$/);
    const lines = cluster.api.lines(
      `/api/v1/namespaces/${namespace}/pods/talker/log`,
      { follow: true, tailLines: 1 },
      AbortSignal.timeout(90_000),
    );
    expect((await lines.next()).value).toBe('three');
    kubelet.writeLog(pod, 'main', 'four\n');
    expect((await lines.next()).value).toBe('four');
    await kubelet.end(pod, { exitCode: 0 });
    expect((await lines.next()).done).toBe(true);
  });

  it('ends with the process that started it, even by kill -9', async () => {
    const script = `
      const { startControlPlane } = await import('@luthier/testing/kube');
      const cluster = await startControlPlane();
      console.log(JSON.stringify(Object.values(await cluster.pids())));
      setInterval(() => undefined, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    const pids = JSON.parse(line) as number[];
    expect(pids).toHaveLength(5);
    child.kill('SIGKILL');
    await waitFor(async () => (await Promise.all(pids.map(identityOf))).every((found) => found === undefined), {
      what: 'its servers to end',
    });
  });
});

/** One request as somebody; with a body it is a POST. */
async function ask(cluster: ControlPlane, token: string, path: string, body?: object): Promise<Response> {
  const { request } = await import('node:https');
  const { readFile } = await import('node:fs/promises');
  const ca = await readFile(cluster.caFile);
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const asked = request(new URL(path, cluster.server), { method: body ? 'POST' : 'GET', headers, ca }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => resolve(new Response(Buffer.concat(parts), { status: response.statusCode ?? 0 })));
    });
    asked.on('error', reject);
    asked.end(body && JSON.stringify(body));
  });
}
