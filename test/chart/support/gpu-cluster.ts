import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { provision } from '@luthier/messaging';
import { startNats, waitFor } from '@luthier/testing';
import type { TestNats } from '@luthier/testing';
import { FakeApiServer } from '@luthier/testing/kube';
import { startService } from '../../e2e/support/service-process.js';
import type { ServiceProcess } from '../../e2e/support/service-process.js';

export const NAMESPACE = 'tune';
const GPU = 'nvidia.com/gpu';

const node = (name: string) => ({
  metadata: { name, labels: { 'nvidia.com/gpu.product': 'NVIDIA-H100-80GB-HBM3', 'nvidia.com/gpu.memory': '81559' } },
  status: {
    allocatable: { [GPU]: '8', cpu: '96', memory: '1024Gi', pods: '110' },
    conditions: [{ type: 'Ready', status: 'True' }],
  },
});

/** As a cluster admits it; nothing is ever made of it here. */
const PROFILE = {
  ...{ name: 'h100', runtime: 'torch', image: `runtime@sha256:${'a'.repeat(64)}`, deviceResource: GPU },
  ...{ command: ['runner'], runtimeCommand: ['runtime'], cpus: 16, memoryMib: 65_536 },
  capabilities: {
    ...{ runtime: 'torch', version: '1', modes: ['train'], architectures: ['LlamaForCausalLM'] },
    ...{ methods: ['supervised'], tunings: ['lora'], precisions: ['bfloat16'], engines: [] },
  },
};

/** A trainer of a cluster, as a process of its own before a stand-in for the API, and with a NATS of its own. */
export class GpuCluster {
  private constructor(
    private readonly api: FakeApiServer,
    private readonly nats: TestNats,
    private readonly trainer: ServiceProcess,
    /** Where it serves its metrics. */
    readonly address: string,
  ) {}

  static async start(dir: string, nodes: readonly string[]): Promise<GpuCluster> {
    const [api, nats] = await Promise.all([FakeApiServer.start({ namespaces: [NAMESPACE] }), startNats()]);
    await provision(await nats.connect());
    for (const name of nodes) api.put('v1/nodes', node(name));
    const kubeconfig = join(dir, 'kubeconfig.json');
    const named = { name: 'fake', context: { cluster: 'fake', user: 'fake' } };
    await writeFile(
      kubeconfig,
      JSON.stringify({
        ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'fake', contexts: [named] },
        clusters: [{ name: 'fake', cluster: { server: api.url } }],
        users: [{ name: 'fake', user: { token: api.token } }],
      }),
    );
    const trainer = startService('trainer', {
      LUTHIER_NATS_URL: nats.url,
      LUTHIER_ARTIFACTS: `file://${join(dir, 'artifacts')}`,
      LUTHIER_WORK_DIR: join(dir, 'trainer'),
      LUTHIER_HTTP_PORT: '0',
      LUTHIER_TRAINER_EXECUTOR: 'kubernetes',
      LUTHIER_TRAINER_CLUSTER: JSON.stringify({ namespace: NAMESPACE, kubeconfig, profiles: [PROFILE] }),
    });
    const url = await waitFor(() => {
      if (trainer.ended()) throw new Error(`the trainer did not start:\n${trainer.said()}`);
      return /"url":"http:\/\/([^"]+)"/.exec(trainer.said())?.[1];
    });
    return new GpuCluster(api, nats, trainer, url);
  }

  /** A pod of a run's first attempt that holds all GPUs of a node. */
  run(runId: string, name: string, nodeName: string): void {
    this.api.put('v1/pods', {
      metadata: {
        ...{ name, namespace: NAMESPACE },
        labels: {
          'app.kubernetes.io/managed-by': 'luthier-trainer',
          ...{ 'luthier.dev/run-id': runId, 'luthier.dev/attempt': '1' },
        },
      },
      spec: { nodeName, containers: [{ name: 'node', resources: { limits: { [GPU]: '8' } } }] },
      status: { phase: 'Running' },
    });
  }

  async stop(): Promise<void> {
    await this.trainer.stop();
    await Promise.all([this.api.stop(), this.nats.stop()]);
  }
}
