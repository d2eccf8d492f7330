import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RunSpec, RunStatus } from '@luthier/contracts';
import type { RunningService } from '@luthier/service-kit';
import { waitFor } from '@luthier/testing';
import type { WaitOptions } from '@luthier/testing';
import { bindRole, ifFound, startControlPlane } from '@luthier/testing/kube';
import type { BoundRole, ControlPlane, FakeKubelet } from '@luthier/testing/kube';
import { TrainerService } from '../../index.js';
import type { ClusterProfile, ClusterSettings } from '../../kubernetes/cluster-profile.js';
import { TrainerHarness } from '../harness.js';
import { ApiGate } from './api-gate.js';
import type { Judge } from './calls.js';
import { Front } from './front.js';
import { JobWitness } from './job-witness.js';
import { NatsGate } from './nats-gate.js';
import { PlannedRunners, endOf, endSeen, objectOf } from './run-plans.js';
import type { Plan } from './run-plans.js';
import { TrainerProcess } from './trainer-process.js';

const RUNNER = fileURLToPath(new URL('../../../../runner/dist/main.js', import.meta.url));
const FAKE_RUNTIME = fileURLToPath(new URL('../fake-runtime.mjs', import.meta.url));
const ROLE_FILE = new URL('../../../../../charts/luthier/files/trainer-role.yaml', import.meta.url);
const JOB_SETS = 'apis/jobset.x-k8s.io/v1alpha2 jobsets';
const OURS = 'app.kubernetes.io/managed-by=luthier-trainer';
const PASS: Judge = () => 'pass';

/** A trainer in this process, with ways to the world of its own. */
export interface TrainerLife {
  readonly service: RunningService;
  /** Cuts it off for good: for the world it is dead at this moment, without any clean-up. */
  kill(): void;
  /** In order, as at a shutdown. */
  stop(): Promise<void>;
  readonly port: number;
  /** The API's watches of a kind are behind for it, until the answer is called. @param fits the lines held back */
  holdBack(kind: string, fits: (line: string) => boolean): () => void;
}

/** A cluster with CPU nodes, NATS, an artifact store, and what training and the runners do. */
export class TrainingCluster {
  readonly plans: PlannedRunners;
  private readonly specs = new Map<string, { spec: RunSpec; plan: Plan }>();
  private readonly lives = new Set<TrainerLife>();
  private readonly processes: TrainerProcess[] = [];

  private constructor(
    readonly cluster: ControlPlane,
    readonly harness: TrainerHarness,
    readonly namespace: string,
    readonly role: BoundRole,
    readonly front: Front,
    readonly witness: JobWitness,
    readonly jobSetWitness: JobWitness,
  ) {
    this.plans = new PlannedRunners(harness.store);
  }

  kubelet!: FakeKubelet;

  static async start(): Promise<TrainingCluster> {
    const [cluster, harness, front] = await Promise.all([startControlPlane(), TrainerHarness.start(), Front.open()]);
    const namespace = await cluster.createNamespace();
    await cluster.createVolumeClaim({ namespace, name: 'artifacts', folder: harness.artifactsDir });
    const role = await bindRole(cluster, { namespace, account: 'trainer', file: ROLE_FILE });
    const witness = new JobWitness(cluster.api, `/apis/batch/v1/namespaces/${namespace}/jobs`);
    const jobSets = new JobWitness(cluster.api, `/apis/jobset.x-k8s.io/v1alpha2/namespaces/${namespace}/jobsets`);
    const whole = new TrainingCluster(cluster, harness, namespace, role, front, witness, jobSets);
    const nodes = ['a', 'b'].map((name) => ({ name: `${namespace}-${name}`, gpus: 0 }));
    whole.kubelet = await cluster.startKubelet({ fateOf: (pod) => whole.plans.fateOf(pod), nodes });
    return whole;
  }

  async stopTrainers(): Promise<void> {
    for (const life of this.lives) await life.stop();
  }

  async stop(): Promise<void> {
    await this.stopTrainers();
    await Promise.all(this.processes.map((one) => one.kill()));
    await Promise.all([this.witness.stop(), this.jobSetWitness.stop()]);
    await this.cluster.stop();
    this.front.close();
    await this.harness.stop();
  }

  settings(over: Partial<ClusterSettings> = {}): ClusterSettings {
    return {
      ...{ namespace: this.namespace, kubeconfig: this.role.kubeconfig, requestsPerSecond: 0, requestBurst: 1 },
      ...{ leaseSeconds: 3, orphanSeconds: 600, profiles: [PROFILE] },
      ...over,
    };
  }

  /** The same with attempts made as something else; what is installed is looked for often. */
  settingsWith(carrier: ClusterProfile['carrier'] = { type: 'auto' }): Partial<ClusterSettings> {
    return { queueRecheckSeconds: 0.5, profiles: [{ ...PROFILE, carrier }] };
  }

  /** @param judge lets it die at one of its steps; `died` is called then. */
  async startTrainer(
    options: { judge?: Judge; died?: () => void; tokenLifetimeMs?: number; settings?: Partial<ClusterSettings> } = {},
  ): Promise<TrainerLife> {
    const { judge = PASS, died, tokenLifetimeMs } = options;
    let life: TrainerLife | undefined;
    const cut = (): void => life?.kill();
    const api = await ApiGate.open(this.cluster, judge, cut);
    const nats = await NatsGate.open(this.harness.nats.port, judge, cut);
    const kubeconfig = join(this.harness.dir, `${new URL(api.url).port}.kubeconfig`);
    await writeFile(kubeconfig, kubeconfigOf(api.url, this.role.token));
    const service = await this.harness.startTrainer({
      ...{ executor: 'kubernetes', natsUrl: nats.url, endpointUrl: this.front.url, shutdownTimeoutMs: 2_000 },
      deliveryTimeoutMs: 600_000,
      ...(tokenLifetimeMs !== undefined && { tokenLifetimeMs }),
      cluster: this.settings({ kubeconfig, ...options.settings }),
    });
    const port = Number(new URL(service.app.get(TrainerService).endpointUrl).port);
    this.front.lead(port);
    const stop = async (): Promise<void> => {
      this.lives.delete(started);
      await service.stop();
      api.close();
      nats.close();
    };
    const started: TrainerLife = {
      ...{ service, port, stop },
      holdBack: (kind, fits) => api.holdBack(kind, fits),
      kill: () => {
        if (life === undefined) return;
        life = undefined;
        api.close();
        nats.close();
        this.front.lead(undefined);
        // What it still does reaches nobody: this only frees its memory.
        void stop().catch(() => undefined);
        died?.();
      },
    };
    this.lives.add((life = started));
    return started;
  }

  /** A trainer as a process of its own, which ends with this at the latest. @param port of its run endpoint */
  startTrainerProcess(port: number, over: Partial<ClusterSettings> = {}): TrainerProcess {
    const started = TrainerProcess.start(this, port, this.settings(over));
    this.processes.push(started);
    return started;
  }

  /** Instead of waiting until the lease of a dead trainer has run out. */
  async dropLease(): Promise<void> {
    const lease = `/apis/coordination.k8s.io/v1/namespaces/${this.namespace}/leases/luthier-trainer`;
    await this.cluster.api.delete(lease).catch(() => undefined);
  }

  /** As training does when a run is admitted. @param before called before anybody hears of it. @returns the run's id */
  async put(plan: Plan, over: Partial<RunSpec> = {}, before?: (runId: string) => void): Promise<string> {
    const behaviour = plan.type === 'process' ? plan.behaviour : {};
    const spec = await this.harness.makeSpec(behaviour, { profile: 'cpu', ...over });
    this.plans.add(spec.runId, plan);
    this.specs.set(spec.runId, { spec, plan });
    before?.(spec.runId);
    await this.harness.runs.put('spec', spec);
    return spec.runId;
  }

  planOf(runId: string): Plan {
    return this.known(runId).plan;
  }

  async change(runId: string, over: Partial<RunSpec>): Promise<void> {
    const known = this.known(runId);
    known.spec = { ...known.spec, generation: known.spec.generation + 1, ...over };
    await this.harness.runs.put('spec', known.spec);
  }

  /** All that training and a runner do until the run has ended; then training closes it. @returns its terminal status */
  async see(runId: string, options: Pick<WaitOptions, 'timeoutMs'> = {}): Promise<RunStatus> {
    const plan = this.planOf(runId);
    const wait = (fits: (status: RunStatus) => boolean): Promise<RunStatus> =>
      this.harness.waitForStatus(runId, fits, options);
    if (plan.type === 'obeys' || plan.type === 'deaf' || plan.type === 'moves') {
      await wait(({ phase }) => phase === 'running');
      await this.change(runId, {
        desired: 'stopped',
        stopReason: plan.type === 'moves' ? 'restart' : 'cancel',
        stopGraceSeconds: plan.type === 'deaf' ? 1 : 10,
      });
      await wait(({ phase }) => phase === 'stopping' || phase === 'ended');
      if (plan.type !== 'deaf') {
        const obey = (): Promise<true> =>
          this.plans.obey(runId, this.cluster, this.kubelet, this.namespace).then(() => true);
        // The API server may be away.
        await waitFor(obey, { ...options, intervalMs: 200, what: `the pods of ${runId} to leave` });
      }
    }
    if (plan.type === 'moves') {
      await wait(({ phase }) => phase === 'ended');
      await this.change(runId, { attempt: 2, desired: 'running', avoidNodes: [`${this.namespace}-a`] });
    }
    const { attempt } = this.specOf(runId);
    const status = await wait((seen) => seen.phase === 'ended' && seen.attempt === attempt);
    await this.change(runId, { closed: true, seen: { attempt, objectUid: status.objectUid } });
    return status;
  }

  /** How each run has ended and how its pods have, by run. */
  ends(statuses: readonly RunStatus[]): { seen: Record<string, unknown>; planned: Record<string, unknown> } {
    const of = (value: (status: RunStatus) => unknown): Record<string, unknown> =>
      Object.fromEntries(statuses.map((status) => [status.runId, value(status)]));
    return {
      seen: of(endSeen),
      planned: of(({ runId }) => endOf(this.planOf(runId))),
    };
  }

  specOf(runId: string): RunSpec {
    return this.known(runId).spec;
  }

  private known(runId: string): { spec: RunSpec; plan: Plan } {
    const known = this.specs.get(runId);
    if (!known) throw new Error(`${runId} was never put`);
    return known;
  }

  /** Of each attempt of these runs how many root objects were ever let go. */
  released(runIds: readonly string[]): number[] {
    const countOf = (name: string): number =>
      [this.witness, this.jobSetWitness].reduce((sum, { released }) => sum + (released.get(name)?.size ?? 0), 0);
    return runIds.flatMap((runId) =>
      Array.from({ length: this.specOf(runId).attempt }, (_, before) => countOf(objectOf(runId, before + 1))),
    );
  }

  /** Names of all objects that a trainer has made here and that are still there. */
  async objects(): Promise<string[]> {
    const kinds = [
      'apis/batch/v1 jobs',
      JOB_SETS,
      'api/v1 configmaps',
      'api/v1 secrets',
      'api/v1 services',
      'api/v1 pods',
    ];
    const found = await Promise.all(
      kinds.map(async (kind) => {
        const [group = '', plural = ''] = kind.split(' ');
        const path = `/${group}/namespaces/${this.namespace}/${plural}`;
        type Items = { items: { metadata: { name: string } }[] };
        // JobSet need not be installed.
        const list = await ifFound(this.cluster.api.get<Items>(path, { labelSelector: OURS }));
        return (list?.items ?? []).map(({ metadata }) => `${plural}/${metadata.name}`);
      }),
    );
    return found.flat();
  }

  /** @throws Error with what is left when not everything goes. */
  async untilNoObjects(): Promise<void> {
    let left: string[] = [];
    const none = async (): Promise<boolean> => (left = await this.objects()).length === 0;
    await waitFor(none, { intervalMs: 50 }).catch((cause: unknown) => {
      throw new Error(`objects are left: ${left.join(', ')}`, { cause });
    });
  }
}

const PROFILE: ClusterProfile = {
  ...{ name: 'cpu', runtime: 'fake', image: `example.test/runtime@sha256:${'a'.repeat(64)}`, imagePullSecrets: [] },
  capabilities: {
    ...{ runtime: 'fake', version: '1', modes: ['train'], architectures: ['LlamaForCausalLM'] },
    ...{ methods: ['supervised'], tunings: ['full'], precisions: ['fp32'], engines: [{ name: 'fake', usable: true }] },
  },
  ...{ command: [process.execPath, RUNNER], runtimeCommand: [process.execPath, FAKE_RUNTIME] },
  ...{ artifactsClaim: 'artifacts', deviceLabels: 'none', deviceProducts: [], sharedDevices: false },
  ...{
    nodeSelector: {},
    tolerations: [],
    carrier: { type: 'auto' },
    gang: { type: 'none' },
    priorityClasses: [],
    serviceAccount: 'default',
    sharedMemoryMib: 16,
  },
  ...{ environment: {}, cpus: 2, memoryMib: 256, scratchMib: 64, slots: 1_000, autoscaled: false, user: 1000 },
  ...{ preRunningSeconds: 120, imagePullSeconds: 60, configErrorSeconds: 30, nodeLostSeconds: 60 },
  ...{ stallSeconds: 600, ttlSeconds: 600 },
};

const kubeconfigOf = (server: string, token: string): string =>
  JSON.stringify({
    ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'c' },
    clusters: [{ name: 'c', cluster: { server } }],
    users: [{ name: 'u', user: { token } }],
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
  });
