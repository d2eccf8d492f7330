import { waitFor } from '@luthier/testing';
import { ifFound } from '@luthier/testing/kube';
import type { ControlPlane, KubeObject, Pod } from '@luthier/testing/kube';

/** What the tests of one namespace do with its pods. */
export class Pods {
  constructor(
    private readonly cluster: ControlPlane,
    readonly namespace: string,
  ) {}

  /** The fields that matter; the rest is what a small pod needs. */
  async create(name: string, spec: Record<string, unknown>, metadata: Record<string, unknown> = {}): Promise<Pod> {
    const containers = (spec['containers'] as Record<string, unknown>[] | undefined) ?? [{}];
    return this.cluster.api.post<Pod>(`/api/v1/namespaces/${this.namespace}/pods`, {
      metadata: { name, ...metadata },
      spec: {
        restartPolicy: 'Never',
        terminationGracePeriodSeconds: 5,
        automountServiceAccountToken: false,
        ...spec,
        containers: containers.map((container) => ({ name: 'main', image: 'example.test/image', ...container })),
      },
    } satisfies KubeObject);
  }

  get(name: string): Promise<Pod> {
    return this.cluster.api.get<Pod>(`/api/v1/namespaces/${this.namespace}/pods/${name}`);
  }

  until(name: string, look: (pod: Pod) => boolean, what: string): Promise<Pod> {
    return waitFor(
      async () => {
        const pod = await this.get(name);
        return look(pod) ? pod : undefined;
      },
      { what: `${name}: ${what}`, intervalMs: 50 },
    );
  }

  untilPhase(name: string, phase: string): Promise<Pod> {
    return this.until(name, ({ status }) => status?.phase === phase, phase);
  }

  delete(name: string, query = ''): Promise<unknown> {
    return this.cluster.api.delete(`/api/v1/namespaces/${this.namespace}/pods/${name}${query}`);
  }

  async untilGone(name: string): Promise<void> {
    await waitFor(async () => (await ifFound(this.get(name))) === undefined, { what: `${name} to be gone` });
  }

  log(name: string, query: Record<string, string | number | boolean> = {}): Promise<string> {
    return this.cluster.api.text(`/api/v1/namespaces/${this.namespace}/pods/${name}/log`, query);
  }
}

/** How the first container ended. */
export const endOf = ({ status }: Pod): { exitCode: number; reason: string; message?: string } | undefined =>
  status?.containerStatuses?.[0]?.state.terminated;
