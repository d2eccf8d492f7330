import { fileURLToPath } from 'node:url';
import { fitRun, idTail } from '@luthier/contracts';
import type { FitAnswer, RunSpec, RunStatus } from '@luthier/contracts';
import { MessageBus } from '@luthier/messaging';
import type { RunningService } from '@luthier/service-kit';
import { steadyPort, waitFor } from '@luthier/testing';
import type { WaitOptions } from '@luthier/testing';
import { bindRole } from '@luthier/testing/kube';
import type { ControlPlane, Fate, KubeObject, Pod } from '@luthier/testing/kube';
import type { RunShape } from '../inventory/inventory-source.js';
import type { ClusterProfile, ClusterSettings } from '../kubernetes/cluster-profile.js';
import { TrainerHarness } from './harness.js';

const IMAGE = `example.test/runtime@sha256:${'a'.repeat(64)}`;
const RUNNER = fileURLToPath(new URL('../../../runner/dist/main.js', import.meta.url));
const FAKE_RUNTIME = fileURLToPath(new URL('fake-runtime.mjs', import.meta.url));
const ROLE_FILE = new URL('../kubernetes/doctor/trainer-role.yaml', import.meta.url);
const RUN_ID = 'luthier.dev/run-id';

/** A profile whose pods run the runner with the fake runtime. Only what is hopeless is given up soon, not what is slow. */
export const fakeProfile = (name: string, over: Partial<ClusterProfile> = {}): ClusterProfile => ({
  ...{ name, runtime: 'fake', image: IMAGE, imagePullSecrets: [] },
  capabilities: {
    ...{ runtime: 'fake', version: '1', modes: ['train'], architectures: ['LlamaForCausalLM'] },
    ...{ methods: ['supervised'], tunings: ['full'], precisions: ['fp32'], engines: [{ name: 'fake', usable: true }] },
  },
  ...{ command: [process.execPath, RUNNER], runtimeCommand: [process.execPath, FAKE_RUNTIME] },
  ...{ artifactsClaim: 'artifacts', deviceLabels: 'nvidia', deviceProducts: [], sharedDevices: false },
  ...{
    nodeSelector: {},
    tolerations: [],
    carrier: { type: 'auto' },
    gang: { type: 'none' },
    priorityClasses: [],
    serviceAccount: 'default',
  },
  ...{ sharedMemoryMib: 16, environment: {}, cpus: 2, memoryMib: 256, scratchMib: 64, slots: 100, autoscaled: false },
  ...{ user: 1000, preRunningSeconds: 600, imagePullSeconds: 2, configErrorSeconds: 2, nodeLostSeconds: 600 },
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

interface PlaceOptions {
  fates: Fates;
  profiles: readonly ClusterProfile[];
  /** Of the namespace. */
  labels?: Record<string, string>;
  settings?: Partial<ClusterSettings>;
  /** Where artifacts are kept, instead of a volume. */
  artifactsUrl?: string;
}

/** A namespace with a trainer that has the rights of the shipped role and no others, and the other side of its runs. */
export class ClusterPlace {
  readonly bus: MessageBus;
  private trainer!: RunningService;

  private constructor(
    readonly cluster: ControlPlane,
    readonly harness: TrainerHarness,
    readonly namespace: string,
    private readonly fates: Fates,
    private readonly endpointPort: number,
    private readonly settings: ClusterSettings,
  ) {
    this.bus = new MessageBus(harness.connection);
  }

  static async start(cluster: ControlPlane, options: PlaceOptions): Promise<ClusterPlace> {
    const { fates, profiles, labels, settings, artifactsUrl } = options;
    const starting = TrainerHarness.start(artifactsUrl);
    const [harness, namespace] = await Promise.all([starting, cluster.createNamespace(labels)]);
    const claim = { namespace, name: 'artifacts', folder: harness.artifactsDir };
    const [{ kubeconfig }] = await Promise.all([
      bindRole(cluster, { namespace, account: 'trainer', file: ROLE_FILE }),
      artifactsUrl === undefined ? cluster.createVolumeClaim(claim) : undefined,
    ]);
    const whole = {
      namespace,
      kubeconfig,
      requestsPerSecond: 0,
      requestBurst: 1,
      profiles: [...profiles],
      ...settings,
    };
    const place = new ClusterPlace(cluster, harness, namespace, fates, await steadyPort(), whole);
    await place.startTrainer();
    return place;
  }

  async stop(): Promise<void> {
    await this.trainer.stop();
    await this.harness.stop();
  }

  /** Where runners find the trainer, also when it was started again. */
  get endpoint(): string {
    return `http://127.0.0.1:${this.endpointPort}`;
  }

  async restartTrainer(): Promise<void> {
    await this.trainer.stop();
    await this.startTrainer();
  }

  private async startTrainer(): Promise<void> {
    const { endpointPort, settings: cluster } = this;
    // However long the trainer is away or slow, runners go on trying to deliver.
    const deliveryTimeoutMs = 600_000;
    this.trainer = await this.harness.startTrainer({
      ...{ executor: 'kubernetes', endpointPort, deliveryTimeoutMs, cluster },
    });
  }

  /** Whether a run could be placed with a profile, once the trainer knows. */
  async fit(profile: string, shape: Partial<RunShape> = {}): Promise<FitAnswer> {
    const any = { nodes: 1, devicesPerNode: 1, deviceMemoryMib: 0, deviceType: null, queue: null };
    const ask = async (): Promise<FitAnswer | undefined> => {
      const { answers } = await this.bus.request(fitRun, { ...any, ...shape, profiles: [profile] });
      return answers.find(({ fit }) => fit.reason !== 'unknown')?.fit;
    };
    return waitFor(ask, { what: `an answer about ${profile}` });
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

  /** @throws Error with what the cluster says of the run's pods, when it waits in vain. */
  until(spec: RunSpec, fits: (status: RunStatus) => boolean, options: WaitOptions = {}): Promise<RunStatus> {
    return this.harness
      .waitForStatus(spec.runId, (status) => status.attempt === spec.attempt && fits(status), options)
      .catch(async (cause: unknown) => {
        const pods = (await this.podsOf(spec)).map(({ spec: { nodeName }, status }) => ({ nodeName, status }));
        throw new Error(`${String(cause)}; its pods: ${JSON.stringify(pods)}`, { cause });
      });
  }

  running = (spec: RunSpec): Promise<RunStatus> => this.until(spec, ({ phase }) => phase === 'running');
  ended = (spec: RunSpec, options: WaitOptions = {}): Promise<RunStatus> =>
    this.until(spec, ({ phase }) => phase === 'ended', options);

  pods(): string {
    return `/api/v1/namespaces/${this.namespace}/pods`;
  }

  /** Of an API group's kind in this namespace, such as `jobs('batch/v1')`. */
  path(apiVersion: string, plural: string): string {
    return `/apis/${apiVersion}/namespaces/${this.namespace}/${plural}`;
  }

  jobOf<T extends KubeObject>({ runId, attempt }: RunSpec): Promise<T> {
    return this.cluster.api.get<T>(`${this.path('batch/v1', 'jobs')}/ft-${idTail(runId)}-${attempt}`);
  }

  async podsOf({ runId, attempt }: RunSpec): Promise<Pod[]> {
    const labelSelector = `${RUN_ID}=${runId},luthier.dev/attempt=${attempt}`;
    return (await this.cluster.api.get<{ items: Pod[] }>(this.pods(), { labelSelector })).items;
  }

  /** The first pod of a run, once it is bound to a node. */
  podOf(spec: RunSpec): Promise<Pod> {
    const bound = async (): Promise<Pod | undefined> =>
      (await this.podsOf(spec)).find((pod) => pod.spec.nodeName !== undefined);
    return waitFor(bound, { what: `a pod of ${spec.runId}` });
  }
}
