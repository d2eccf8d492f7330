import { FakeApiServer } from '@luthier/testing/kube';
import type { FakeApiOptions } from '@luthier/testing/kube';
import { KubeClient } from '../kube-client.js';
import type { KubeClientOptions } from '../client-options.js';
import type { V1Job } from '../objects.js';

export interface FakeCluster {
  fake: FakeApiServer;
  client: (options?: Partial<KubeClientOptions>) => KubeClient;
  stop: () => Promise<void>;
}

/** The fake API with clients that wait little. */
export async function startFakeCluster(options: FakeApiOptions = {}): Promise<FakeCluster> {
  const fake = await FakeApiServer.start({ namespaces: ['training', 'other'], ...options });
  const clients: KubeClient[] = [];
  return {
    fake,
    client: (more = {}) => {
      const client = KubeClient.fromConfig({
        cluster: { server: fake.url, token: fake.token },
        fieldManager: 'luthier-trainer',
        qps: 0,
        backoff: { baseMs: 5, maxMs: 20 },
        ...more,
      });
      clients.push(client);
      return client;
    },
    stop: async () => {
      clients.forEach((client) => client.close());
      await fake.stop();
    },
  };
}

export const job = (name: string, more: { labels?: Record<string, string>; suspend?: boolean } = {}): V1Job => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name, namespace: 'training', ...(more.labels && { labels: more.labels }) },
  spec: {
    suspend: more.suspend ?? true,
    template: { spec: { containers: [{ name: 'main' }], restartPolicy: 'Never' } },
  },
});
