import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CONFIG_MAPS, JOBS, KubeClient, KubeError, defineResource } from '@luthier/kube';
import type { V1ConfigMap, V1Job } from '@luthier/kube';
import { waitFor } from '@luthier/testing';
import { FakeApiServer, startControlPlane } from '@luthier/testing/kube';
import type { ControlPlane } from '@luthier/testing/kube';

const ABSENT_KIND = defineResource({
  apiVersion: 'absent.example.dev/v1',
  kind: 'Absent',
  plural: 'absents',
  namespaced: true,
});

/** One API with two clients, which write under different names. */
interface Side {
  ours: KubeClient;
  theirs: KubeClient;
  namespace: string;
}

let plane: ControlPlane;
let fake: FakeApiServer;
let sides: { real: Side; fake: Side };

beforeAll(async () => {
  plane = await startControlPlane();
  fake = await FakeApiServer.start({ namespaces: ['ns'] });
  const side = (cluster: Parameters<typeof KubeClient.fromConfig>[0]['cluster'], namespace: string): Side => ({
    ours: KubeClient.fromConfig({ cluster, fieldManager: 'luthier-trainer', qps: 0, maxTries: 1 }),
    theirs: KubeClient.fromConfig({ cluster, fieldManager: 'somebody-else', qps: 0, maxTries: 1 }),
    namespace,
  });
  sides = {
    real: side({ file: plane.kubeconfig }, await plane.createNamespace()),
    fake: side({ server: fake.url, token: fake.token }, 'ns'),
  };
}, 900_000);
afterAll(async () => {
  for (const { ours, theirs } of Object.values(sides)) [ours, theirs].forEach((client) => client.close());
  await fake.stop();
  await plane.stop();
});

const configMap = (namespace: string, name: string, data: Record<string, string> = {}): V1ConfigMap => ({
  metadata: { namespace, name },
  data,
});
const job = (namespace: string, name: string): V1Job => ({
  metadata: { namespace, name },
  spec: {
    suspend: true,
    template: { spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'example.invalid/none' }] } },
  },
});

/** What a call came to, without what differs by nature, such as uids, versions and times. */
async function outcome(side: Side, call: (side: Side) => Promise<unknown>): Promise<unknown> {
  try {
    return { value: await call(side) };
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    const { kind, status, reason, notServed } = error;
    const causes = error.causes.map((cause) => ({ reason: cause.reason, field: cause.field }));
    return { kind, status, reason, notServed, causes };
  }
}

describe('the fake API answers as a real one does', () => {
  // In their order: some build on those before.
  it.each<[string, (side: Side) => Promise<unknown>]>([
    ['get of what is not there', ({ ours, namespace }) => ours.get(JOBS, 'absent', namespace)],
    ['create', async ({ ours, namespace }) => (await ours.create(JOBS, job(namespace, 'one'))).metadata?.generation],
    ['create of a name that is taken', ({ ours, namespace }) => ours.create(JOBS, job(namespace, 'one'))],
    ['create in a namespace that is not there', ({ ours }) => ours.create(JOBS, job('absent', 'one'))],
    ['create with a bad name', ({ ours, namespace }) => ours.create(CONFIG_MAPS, configMap(namespace, 'Not_A_Name'))],
    [
      'dry run',
      async ({ ours, namespace }) => {
        const made = await ours.create(JOBS, job(namespace, 'dry'), { dryRun: true });
        return [made.metadata?.name, await ours.get(JOBS, 'dry', namespace)];
      },
    ],
    [
      'a template that may not change',
      async ({ ours, namespace }) => {
        const spec = { template: { metadata: { labels: { late: 'yes' } } } };
        // Suspended jobs may change a little; one that has begun may not.
        await ours.mergePatch(JOBS, 'one', namespace, { spec: { suspend: false } });
        return ours.mergePatch(JOBS, 'one', namespace, { spec: { ...spec, suspend: false } });
      },
    ],
    [
      'replace of an old version',
      async ({ ours, namespace }) => {
        const made = await ours.create(CONFIG_MAPS, configMap(namespace, 'versions'));
        await ours.mergePatch(CONFIG_MAPS, 'versions', namespace, { data: { a: '1' } });
        return ours.replace(CONFIG_MAPS, made);
      },
    ],
    [
      'replace with another uid',
      ({ ours, namespace }) =>
        ours.replace(CONFIG_MAPS, { metadata: { namespace, name: 'versions', uid: 'another' }, data: {} }),
    ],
    [
      'replace of what is not there',
      ({ ours, namespace }) => ours.replace(CONFIG_MAPS, configMap(namespace, 'absent')),
    ],
    ['patch of what is not there', ({ ours, namespace }) => ours.mergePatch(CONFIG_MAPS, 'absent', namespace, {})],
    [
      'merge patch',
      async ({ ours, namespace }) => {
        await ours.create(CONFIG_MAPS, configMap(namespace, 'merged', { a: '1', b: '2' }));
        const merged = await ours.mergePatch(CONFIG_MAPS, 'merged', namespace, { data: { a: null, c: '3' } });
        const again = await ours.mergePatch(CONFIG_MAPS, 'merged', namespace, { data: { c: '3' } });
        return [merged.data, merged.metadata?.resourceVersion === again.metadata?.resourceVersion];
      },
    ],
    [
      'server-side apply: made, repeated, less than before, beside others',
      async ({ ours, theirs, namespace }) => {
        const first = await ours.apply(CONFIG_MAPS, configMap(namespace, 'applied', { a: '1', b: '2' }));
        const again = await ours.apply(CONFIG_MAPS, configMap(namespace, 'applied', { a: '1', b: '2' }));
        await theirs.mergePatch(CONFIG_MAPS, 'applied', namespace, { data: { x: '9' } });
        const less = await ours.apply(CONFIG_MAPS, configMap(namespace, 'applied', { a: '1' }));
        const taken = await theirs.apply(CONFIG_MAPS, configMap(namespace, 'applied', { a: '5' }));
        return [first.metadata?.resourceVersion === again.metadata?.resourceVersion, less.data, taken.data];
      },
    ],
    [
      'status by its own path alone',
      async ({ ours, namespace }) => {
        const patched = await ours.mergePatch(JOBS, 'one', namespace, { status: { failed: 3 } });
        return patched.status?.failed ?? 0;
      },
    ],
    ['delete with another uid', ({ ours, namespace }) => ours.delete(JOBS, 'one', { namespace, uid: 'another' })],
    ['delete of what is not there', ({ ours, namespace }) => ours.delete(JOBS, 'absent', { namespace })],
    [
      'delete in the foreground takes along what it owns, and then goes itself',
      async ({ ours, namespace }) => {
        const owner = await ours.create(JOBS, job(namespace, 'owner'));
        const { name = '', uid = '' } = owner.metadata ?? {};
        const reference = {
          apiVersion: 'batch/v1',
          kind: 'Job',
          name,
          uid,
          controller: true,
          blockOwnerDeletion: true,
        };
        const owned = configMap(namespace, 'owned');
        await ours.create(CONFIG_MAPS, { ...owned, metadata: { ...owned.metadata, ownerReferences: [reference] } });
        await ours.delete(JOBS, 'owner', { namespace, uid, propagation: 'Foreground' });
        const left = (): Promise<unknown[]> =>
          Promise.all([ours.get(JOBS, 'owner', namespace), ours.get(CONFIG_MAPS, 'owned', namespace)]);
        // A collector that has not seen yet what it owns takes that along afterwards.
        await waitFor(async () => (await left()).every((one) => one === undefined), { what: 'both to go' });
        return left();
      },
    ],
    ['list of a kind that is not installed', ({ ours, namespace }) => ours.list(ABSENT_KIND, { namespace })],
    ['get of a kind that is not installed', ({ ours, namespace }) => ours.get(ABSENT_KIND, 'x', namespace)],
    ['whether kinds are served', async ({ ours }) => [await ours.serves(JOBS), await ours.serves(ABSENT_KIND)]],
    [
      'discovery',
      async ({ ours }) => {
        const served = await ours.discover();
        return [
          'v1/pods',
          'v1/pods/log',
          'batch/v1/jobs',
          'coordination.k8s.io/v1/leases',
          'absent.example.dev/v1/absents',
        ].map((kind) => served.has(kind));
      },
    ],
    ['a bad selector', ({ ours, namespace }) => ours.list(JOBS, { namespace, labelSelector: 'a b c' })],
    [
      'selectors and pages',
      async ({ ours, namespace }) => {
        for (const name of ['p1', 'p2', 'p3'])
          await ours.create(CONFIG_MAPS, { metadata: { namespace, name, labels: { set: 'p', name } } });
        const names = async (labelSelector: string): Promise<unknown[]> =>
          (await ours.listAll(CONFIG_MAPS, { namespace, labelSelector, limit: 1 })).items.map((o) => [
            o.kind,
            o.metadata?.name,
          ]);
        const page = await ours.list(CONFIG_MAPS, { namespace, limit: 1, labelSelector: 'set=p' });
        return [
          await names('set=p'),
          await names('set in (p,q),name!=p2'),
          await names('set,!absent,name notin (p1)'),
          page.items.length,
          page.continue !== undefined,
        ];
      },
    ],
    ['log of a pod that is not there', ({ ours, namespace }) => ours.readLog({ namespace, pod: 'absent' })],
    [
      'what a watch with a selector tells',
      async ({ ours, namespace }) => {
        const made = (name: string, set: string): Promise<unknown> =>
          ours.create(CONFIG_MAPS, { metadata: { namespace, name, labels: { set } } });
        const { resourceVersion } = await ours.list(CONFIG_MAPS, { namespace });
        await made('w1', 'w');
        await made('w2', 'other');
        await ours.mergePatch(CONFIG_MAPS, 'w1', namespace, { data: { a: '1' } });
        await ours.mergePatch(CONFIG_MAPS, 'w1', namespace, { metadata: { labels: { set: 'other' } } });
        await ours.mergePatch(CONFIG_MAPS, 'w2', namespace, { metadata: { labels: { set: 'w' } } });
        await ours.delete(CONFIG_MAPS, 'w2', { namespace });
        const told: unknown[] = [];
        const signal = AbortSignal.timeout(90_000);
        for await (const event of ours.watch(CONFIG_MAPS, {
          namespace,
          labelSelector: 'set=w',
          resourceVersion,
          signal,
        })) {
          if (event.type === 'BOOKMARK') continue;
          told.push([event.type, event.object.kind, event.object.metadata?.name, event.object.metadata?.labels]);
          if (told.length === 5) break;
        }
        return told;
      },
    ],
    ['an unlikely version', ({ ours }) => ours.list(JOBS, { resourceVersion: '999999999' })],
  ])('%s', async (_, call) => {
    expect(await outcome(sides.fake, call)).toEqual(await outcome(sides.real, call));
  });
});
