import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { waitFor } from '@luthier/testing';
import { canRunKueue, startControlPlane } from '@luthier/testing/kube';
import type { ControlPlane, KubeObject } from '@luthier/testing/kube';

const withKueue = (await canRunKueue()) ? describe : describe.skip;

interface Job extends KubeObject {
  spec: { suspend: boolean };
  status?: { succeeded?: number };
}
interface Workload extends KubeObject {
  status?: { conditions?: { type: string; status: string; reason: string; message: string }[] };
}

const APIS = 'kueue.x-k8s.io/v1beta2';

withKueue('Kueue on the control plane', () => {
  let cluster: ControlPlane;
  let namespace: string;

  beforeAll(async () => {
    cluster = await startControlPlane();
    await cluster.startKueue();
    await cluster.startKubelet({
      nodes: [{ name: 'kueue-gpu' }],
      fateOf: ({ metadata }) =>
        metadata.name.startsWith('short') ? { type: 'end', exitCode: 0, afterMs: 300 } : { type: 'run' },
    });
    namespace = await cluster.createNamespace();
    const gpus = [{ name: 'nvidia.com/gpu', nominalQuota: '8' }];
    const other = ['cpu', 'memory'].map((name) => ({ name, nominalQuota: '1000G' }));
    await cluster.apply(
      { apiVersion: APIS, kind: 'ResourceFlavor', metadata: { name: 'any' }, spec: {} },
      {
        apiVersion: APIS,
        kind: 'ClusterQueue',
        metadata: { name: 'gpus' },
        spec: {
          namespaceSelector: {},
          resourceGroups: [
            {
              coveredResources: ['nvidia.com/gpu', 'cpu', 'memory'],
              flavors: [{ name: 'any', resources: [...gpus, ...other] }],
            },
          ],
        },
      },
      { apiVersion: APIS, kind: 'LocalQueue', metadata: { name: 'team', namespace }, spec: { clusterQueue: 'gpus' } },
    );
  }, 3_600_000);
  afterAll(() => cluster.stop());

  const jobs = (): string => `/apis/batch/v1/namespaces/${namespace}/jobs`;
  const submit = (name: string, gpus: number): Promise<Job> =>
    cluster.api.post<Job>(jobs(), {
      metadata: { name, labels: { 'kueue.x-k8s.io/queue-name': 'team' } },
      spec: {
        suspend: true,
        template: {
          spec: {
            restartPolicy: 'Never',
            tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists' }],
            containers: [
              {
                name: 'main',
                image: 'example.test/image',
                resources: { requests: { cpu: '1' }, limits: { 'nvidia.com/gpu': String(gpus) } },
              },
            ],
          },
        },
      },
    });
  const reasonOf = async ({ metadata }: Job): Promise<string | undefined> => {
    const labelSelector = `kueue.x-k8s.io/job-uid=${metadata?.uid}`;
    const path = `/apis/${APIS}/namespaces/${namespace}/workloads`;
    const { items } = await cluster.api.get<{ items: Workload[] }>(path, { labelSelector });
    return items[0]?.status?.conditions?.find(({ type }) => type === 'QuotaReserved')?.message;
  };

  it('lets a suspended Job go when its queue has the GPUs', async () => {
    await submit('short', 8);
    const done = async (): Promise<boolean> => (await cluster.api.get<Job>(`${jobs()}/short`)).status?.succeeded === 1;
    await waitFor(done, { what: 'the Job to succeed' });
  });

  it('holds a Job back while the GPUs of its queue are in use, says how many are missing, and lets it go afterwards', async () => {
    await submit('long', 8);
    await waitFor(async () => !(await cluster.api.get<Job>(`${jobs()}/long`)).spec.suspend);
    const second = await submit('short-second', 4);
    const why = await waitFor(() => reasonOf(second), { what: 'a reason' });
    expect(why).toContain('insufficient unused quota for nvidia.com/gpu in flavor any, 4 more needed');
    expect((await cluster.api.get<Job>(`${jobs()}/short-second`)).spec.suspend).toBe(true);
    await cluster.api.delete(`${jobs()}/long?propagationPolicy=Background`);
    const done = async (): Promise<boolean> =>
      (await cluster.api.get<Job>(`${jobs()}/short-second`)).status?.succeeded === 1;
    await waitFor(done, { what: 'the second Job to succeed' });
  });
});
