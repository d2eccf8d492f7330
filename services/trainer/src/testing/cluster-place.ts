import { fileURLToPath } from 'node:url';
import type { RunSpec, RunStatus } from '@luthier/contracts';
import { freePort } from '@luthier/local-servers';
import type { RunningService } from '@luthier/service-kit';
import { waitFor } from '@luthier/testing';
import type { ControlPlane, Fate, Pod } from '@luthier/testing/kube';
import type { ClusterProfile } from '../kubernetes/cluster-profile.js';
import { TrainerHarness } from './harness.js';

const IMAGE = `example.test/runtime@sha256:${'a'.repeat(64)}`;
const RUNNER = fileURLToPath(new URL('../../../runner/dist/main.js', import.meta.url));
const FAKE_RUNTIME = fileURLToPath(new URL('fake-runtime.mjs', import.meta.url));
const RUN_ID = 'luthier.dev/run-id';

/** A profile whose pods run the runner with the fake runtime, and whose times are those of a test. */
export const fakeProfile = (name: string, over: Partial<ClusterProfile> = {}): ClusterProfile => ({
  ...{ name, runtime: 'fake', image: IMAGE, imagePullSecrets: [] },
  capabilities: {
    ...{ runtime: 'fake', version: '1', modes: ['train'], architectures: ['LlamaForCausalLM'] },
    ...{ methods: ['supervised'], tunings: ['full'], precisions: ['fp32'], engines: [{ name: 'fake', usable: true }] },
  },
  ...{ command: [process.execPath, RUNNER], runtimeCommand: [process.execPath, FAKE_RUNTIME] },
  ...{ artifactsClaim: 'artifacts', deviceLabels: 'nvidia', deviceProducts: [], sharedDevices: false },
  ...{ nodeSelector: {}, tolerations: [], gang: { type: 'none' }, priorityClasses: [], serviceAccount: 'default' },
  ...{ sharedMemoryMib: 16, environment: {}, cpus: 2, memoryMib: 256, scratchMib: 64, slots: 100, autoscaled: false },
  ...{ user: 1000, preRunningSeconds: 8, imagePullSeconds: 2, configErrorSeconds: 2, nodeLostSeconds: 2 },
  ...{ stallSeconds: 600, ttlSeconds: 600 },
  ...over,
});

/** What becomes of the pods of each run, for all places of a test. Runs without one run until they are told to go. */
export class Fates {
  private readonly byRun = new Map<string, Fate | ((pod: Pod) => Fate)>();

  set(runId: string, fate: Fate | ((pod: Pod) => Fate)): void {
    this.byRun.set(runId, fate);
  }
  readonly of = (pod: Pod): Fate => {
    const fate = this.byRun.get(pod.metadata.labels?.[RUN_ID] ?? '') ?? { type: 'run' };
    return typeof fate === 'function' ? fate(pod) : fate;
  };
}

/** A namespace with a trainer, and the other side of its runs. */
export class ClusterPlace {
  private constructor(
    readonly harness: TrainerHarness,
    readonly namespace: string,
    private readonly cluster: ControlPlane,
    private readonly fates: Fates,
    private readonly trainer: RunningService,
  ) {}

  static async start(
    cluster: ControlPlane,
    fates: Fates,
    profiles: readonly ClusterProfile[],
    labels: Record<string, string> = {},
  ): Promise<ClusterPlace> {
    const [harness, namespace] = await Promise.all([TrainerHarness.start(), cluster.createNamespace(labels)]);
    await cluster.createVolumeClaim({ namespace, name: 'artifacts', folder: harness.artifactsDir });
    const trainer = await harness.startTrainer({
      executor: 'kubernetes',
      endpointPort: await freePort(),
      cluster: {
        ...{ namespace, kubeconfig: cluster.kubeconfig, requestsPerSecond: 0, requestBurst: 1 },
        profiles: [...profiles],
      },
    });
    return new ClusterPlace(harness, namespace, cluster, fates, trainer);
  }

  async stop(): Promise<void> {
    await this.trainer.stop();
    await this.harness.stop();
  }

  /** Wants a run, whose pods then meet this fate. */
  async run(
    profile: string,
    fate: Fate | ((pod: Pod) => Fate),
    over: Partial<RunSpec> = {},
    behaviour: Parameters<TrainerHarness['makeSpec']>[0] = {},
  ): Promise<RunSpec> {
    const spec = await this.harness.makeSpec(behaviour, { profile, stopGraceSeconds: 1, ...over });
    this.fates.set(spec.runId, fate);
    await this.harness.runs.put('spec', spec);
    return spec;
  }

  /** The run's next attempt, as training wants it after the last one has ended. */
  async again(spec: RunSpec, fate: Fate): Promise<RunSpec> {
    const next = { ...spec, attempt: spec.attempt + 1, generation: spec.generation + 1 };
    this.fates.set(spec.runId, fate);
    await this.harness.runs.put('spec', next);
    return next;
  }

  async change(spec: RunSpec, over: Partial<RunSpec>): Promise<RunSpec> {
    const next = { ...spec, generation: spec.generation + 1, ...over };
    await this.harness.runs.put('spec', next);
    return next;
  }

  until(spec: RunSpec, fits: (status: RunStatus) => boolean, timeoutMs = 85_000): Promise<RunStatus> {
    return this.harness.waitForStatus(
      spec.runId,
      (status) => status.attempt === spec.attempt && fits(status),
      timeoutMs,
    );
  }

  running = (spec: RunSpec): Promise<RunStatus> => this.until(spec, ({ phase }) => phase === 'running');
  ended = (spec: RunSpec): Promise<RunStatus> => this.until(spec, ({ phase }) => phase === 'ended');

  pods(): string {
    return `/api/v1/namespaces/${this.namespace}/pods`;
  }

  async podsOf({ runId, attempt }: RunSpec): Promise<Pod[]> {
    const labelSelector = `${RUN_ID}=${runId},luthier.dev/attempt=${attempt}`;
    return (await this.cluster.api.get<{ items: Pod[] }>(this.pods(), { labelSelector })).items;
  }

  /** The first pod of a run, once it is bound to a node. */
  podOf(spec: RunSpec): Promise<Pod> {
    const bound = async (): Promise<Pod | undefined> =>
      (await this.podsOf(spec)).find((pod) => pod.spec.nodeName !== undefined);
    return waitFor(bound, { timeoutMs: 20_000, what: `a pod of ${spec.runId}` });
  }
}
