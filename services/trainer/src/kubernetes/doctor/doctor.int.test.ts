import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import type { ClusterCheck } from '@luthier/contracts';
import { KubeClient } from '@luthier/kube';
import { FakeApiServer } from '@luthier/testing/kube';
import { nodeObject } from '../../testing/cluster-objects.js';
import { gpuProfile } from '../../testing/cluster-profiles.js';
import { takeSnapshot } from '../inventory/snapshot.js';
import { examine } from './doctor.js';
import { readPermissions } from './role.js';

const namespace = 'runs';
const profile = gpuProfile({
  ...{ serviceAccount: 'luthier-run', imagePullSecrets: ['regcred'], runtimeClassName: 'nvidia' },
  artifactsClaim: 'artifacts',
});

describe('the doctor', () => {
  let api: FakeApiServer;
  let client: KubeClient;
  beforeEach(async () => {
    api = await FakeApiServer.start({ namespaces: [namespace] });
    api.put('v1/serviceaccounts', { metadata: { namespace, name: 'luthier-run' } });
    api.put('v1/secrets', { metadata: { namespace, name: 'regcred' } });
    api.put('node.k8s.io/v1/runtimeclasses', { metadata: { name: 'nvidia' } });
    api.put('v1/persistentvolumeclaims', { metadata: { namespace, name: 'artifacts' }, status: { phase: 'Bound' } });
    client = KubeClient.fromConfig({
      cluster: { server: api.url, token: api.token },
      ...{ fieldManager: 'test', maxTries: 1, timeoutMs: 2_000, qps: 0 },
    });
  });
  afterEach(async () => {
    client.close();
    await api.stop();
  });
  const look = (over: Partial<Parameters<typeof examine>[0]> = {}): Promise<ClusterCheck[]> =>
    examine({
      ...{ client, namespace, profiles: [profile] },
      snapshot: () => takeSnapshot({ namespace, nodes: [nodeObject('gpu-1')], pods: [] }),
      watches: () => [{ name: 'nodes', connected: true, lastSyncAgeMs: 1 }],
      ...over,
    });
  const finding = async (topic: string, over: Parameters<typeof look>[0] = {}): Promise<ClusterCheck | undefined> =>
    (await look(over)).find((one) => one.topic === topic);

  it('finds a sound installation sound, and leaves nothing behind', async () => {
    const checks = await look();
    expect(checks.filter(({ state }) => state !== 'ok')).toEqual([]);
    expect(checks.map(({ topic }) => topic)).toEqual([
      ...['api', 'namespace', 'permissions', 'carriers', 'service-account', 'pull-secret', 'runtime-class'],
      ...['storage', 'devices', 'place', 'quota', 'queues', 'clock', 'watches'],
    ]);
    expect(api.object('v1/configmaps', namespace, 'luthier-clock-look')).toBeUndefined();
  });

  it('names each permission that is missing', async () => {
    api.deny('create', 'jobs');
    api.deny('get', 'runtimeclasses');
    expect(await finding('permissions')).toMatchObject({
      ...{ id: 'permissions-missing', state: 'fail' },
      params: {
        ...{ here: 'create jobs.batch', everywhere: 'get runtimeclasses.node.k8s.io', namespace },
        file: 'charts/luthier/files/trainer-role.yaml',
      },
      message: 'The trainer may not: create jobs.batch. In all namespaces: get runtimeclasses.node.k8s.io.',
    });
    expect(await finding('runtime-class')).toMatchObject({
      ...{ id: 'look-forbidden', state: 'warn', params: { cause: expect.stringContaining('runtimeclasses') } },
    });
  });

  it('asks about queues only where they are installed', async () => {
    api.deny('list', 'localqueues');
    expect(await finding('permissions')).toMatchObject({ state: 'ok' });
    api.install({ apiVersion: 'kueue.x-k8s.io/v1beta2', kind: 'LocalQueue', plural: 'localqueues', namespaced: true });
    expect(await finding('permissions')).toMatchObject({
      ...{ id: 'permissions-missing', params: { here: expect.stringContaining('localqueues'), everywhere: '' } },
    });
  });

  it.each([
    ['namespace', 'v1/namespaces', undefined, namespace],
    ['service-account', 'v1/serviceaccounts', namespace, 'luthier-run'],
    ['pull-secret', 'v1/secrets', namespace, 'regcred'],
    ['runtime-class', 'node.k8s.io/v1/runtimeclasses', undefined, 'nvidia'],
    ['storage', 'v1/persistentvolumeclaims', namespace, 'artifacts'],
  ])('says how to make the %s that is missing', async (topic, kind, where, name) => {
    api.remove(kind, where, name);
    const found = await finding(topic);
    expect(found).toMatchObject({ id: expect.stringMatching(/-missing$/), state: 'fail', params: { name } });
    expect(found?.fix).toBeTruthy();
  });

  it('fails on a claim without storage', async () => {
    api.put('v1/persistentvolumeclaims', { metadata: { namespace, name: 'artifacts' }, status: { phase: 'Pending' } });
    expect(await finding('storage')).toMatchObject({
      ...{ id: 'claim-unbound', state: 'fail', params: { name: 'artifacts', phase: 'Pending' } },
    });
  });

  it.each([
    [4_000, 'ok'],
    [-30_000, 'warn'],
    [30_000, 'warn'],
    [-600_000, 'fail'],
    [600_000, 'fail'],
  ])('with a clock %i ms off says %s', async (offMs, state) => {
    expect(await finding('clock', { now: () => Date.now() + offMs })).toMatchObject({ state });
  });

  it('says only that the API is away when it is, and that the account is not known when it is not', async () => {
    api.token = 'another';
    expect(await look()).toMatchObject([{ topic: 'api', id: 'api-unauthorized', state: 'fail' }]);
    await api.stop();
    expect(await look()).toMatchObject([{ topic: 'api', id: 'api-unreachable', state: 'fail' }]);
  });
});

describe('the role file', () => {
  it('is the one that the chart ships', async () => {
    const text = (path: string): Promise<string> => readFile(new URL(path, import.meta.url), 'utf8');
    expect(await text('trainer-role.yaml')).toBe(await text('../../../../../charts/luthier/files/trainer-role.yaml'));
  });

  it('names every verb by itself and writes nothing outside the namespace of the runs', async () => {
    const permissions = await readPermissions();
    expect(permissions.filter(({ verb, resource, group }) => [verb, resource, group].includes('*'))).toEqual([]);
    const everywhere = permissions.filter((permission) => permission.everywhere).map(({ verb }) => verb);
    expect(new Set(everywhere)).toEqual(new Set(['get', 'list', 'watch']));
    expect(permissions.filter(({ resource }) => resource === 'secrets').map(({ verb }) => verb)).toEqual([
      'get',
      'create',
      'patch',
    ]);
  });
});
