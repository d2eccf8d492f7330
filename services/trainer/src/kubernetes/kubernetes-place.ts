import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { ArtifactStore } from '@luthier/artifacts';
import { KubeClient, KubeMetrics, LeaderElection, NODES } from '@luthier/kube';
import type { V1Node } from '@luthier/kube';
import type { MessageBus, RunsBucket } from '@luthier/messaging';
import type { Logger } from '@luthier/service-kit';
import type { Registry } from 'prom-client';
import type { Checkpoints } from '../endpoint/checkpoints.js';
import type { RunTokens } from '../endpoint/run-tokens.js';
import { AttemptObjects } from './attempt-objects.js';
import type { ClusterSettings } from './cluster-profile.js';
import { ClusterWatches } from './cluster-watches.js';
import { AttemptCollector } from './collect-attempt.js';
import { examine } from './doctor/doctor.js';
import { KubernetesExecutor } from './kubernetes-executor.js';
import { LastSigns } from './last-signs.js';
import { ClusterInventory } from './inventory/cluster-inventory.js';
import { FIELD_MANAGER, RUN_CONTAINER } from './names.js';
import { NodeViews } from './node-views.js';
import { ObjectEvents } from './object-events.js';
import { PodLogArchive } from './pod-log-archive.js';
import { PodLogs } from './pod-logs.js';
import type { PodLogReader } from './pod-logs.js';
import { RunObjects } from './run-objects.js';
import { tellRunPods } from './run-pods.metrics.js';
import { RunWorkloads } from './run-workloads.js';
import { SuspendedOrphans } from './suspended-orphans.js';
import { ObjectOwners } from './timeline/object-owners.js';
import { RunTimeline } from './timeline/run-timeline.js';

export interface KubernetesPlaceParts {
  settings: ClusterSettings;
  runs: Pick<RunsBucket, 'get'>;
  store: ArtifactStore;
  checkpoints: Checkpoints;
  tokens: RunTokens;
  bus: MessageBus;
  logger: Logger;
  registry: Registry;
  /** The artifact store's folder, which pods see at the same path; undefined: objects come by URL. */
  artifactsDir: string | undefined;
  /** The run endpoint, as pods reach it. */
  endpointUrl: () => string;
  deliveryTimeoutMs: number;
}

const LEASE = 'luthier-trainer';
/** Whoever installs Kueue wants to use it. */
const QUEUE_RECHECK_SECONDS = 30;
const LEASE_SECONDS = 15;
const ORPHAN_SECONDS = 10 * 60;

/** A namespace of a cluster in which runs are made: its watches, its executor, and the lease for deciding there. */
export class KubernetesPlace {
  readonly executor: KubernetesExecutor;
  readonly watches: ClusterWatches;
  readonly client: KubeClient;
  readonly inventory: ClusterInventory;
  readonly logs: PodLogs;
  private readonly objects: RunObjects;
  private readonly signs: LastSigns;
  private readonly election: LeaderElection;
  private readonly orphans: SuspendedOrphans;
  private readonly timeline: RunTimeline;
  private readonly ended = new AbortController();
  private leading: Promise<void> | undefined;

  constructor(private readonly parts: KubernetesPlaceParts) {
    const { settings, store, checkpoints, tokens, bus, logger, registry, artifactsDir } = parts;
    const { namespace } = settings;
    const metrics = new KubeMetrics(registry);
    this.client = connect(settings, metrics);
    const { queueRecheckSeconds = QUEUE_RECHECK_SECONDS } = settings;
    const kueueRecheckMs = queueRecheckSeconds * 1_000;
    this.watches = new ClusterWatches(this.client, namespace, { logger, kueueRecheckMs });
    this.signs = new LastSigns(bus);
    const events = new ObjectEvents(this.watches.events);
    const tell = (runId: string): void => this.executor.tell(runId);
    const objects = (this.objects = new RunObjects(this.watches, tell));
    const deviceResources = new Set(settings.profiles.flatMap(({ deviceResource }) => deviceResource ?? []));
    tellRunPods(registry, { namespace, deviceResources, pods: () => objects.livePods() });
    const owners = new ObjectOwners();
    for (const watch of [...this.watches.roots, this.watches.pods, this.watches.workloads]) owners.follow(watch);
    this.timeline = new RunTimeline({
      ...{ events: this.watches.events, owners, logger },
      publish: (news) => bus.publishRunMessage(news),
    });
    const { profiles } = settings;
    const watches = () => this.watches.health();
    const snapshot = () => this.inventory.snapshot();
    this.inventory = new ClusterInventory(profiles, {
      watches,
      input: () => this.watches.inventoryInput(),
      knows: (what) => this.watches.knows(what),
      check: () => examine({ client: this.client, namespace, profiles, snapshot, watches }),
    });
    const calls = new AttemptObjects(this.client, { namespace, artifactsDir }, this.watches.served);
    this.orphans = new SuspendedOrphans({
      roots: () => this.watches.roots.flatMap((watch) => watch.list()),
      isKnown: (runId) => isKnown(parts.runs, runId),
      delete: (root) => calls.delete(root),
      ...{ boundMs: (settings.orphanSeconds ?? ORPHAN_SECONDS) * 1_000, logger },
    });
    const readLog: PodLogReader = (pod, options) =>
      this.client.readLog({ namespace, pod, container: RUN_CONTAINER, ...options });
    this.logs = new PodLogs({ objects, readLog });
    this.executor = new KubernetesExecutor({
      ...{ objects, calls },
      workloads: new RunWorkloads(this.watches.workloads, (uid) => objects.tellOwner(uid)),
      collector: new AttemptCollector({ store, checkpoints }),
      logs: new PodLogArchive({ store, readLog }),
      signs: this.signs,
      eventsOf: (uid) => events.of(uid),
      nodes: new NodeViews(this.watches.nodes, this.watches.slices, (name) => this.nodeNow(name)),
      queueNames: () => this.watches.queueNames(),
      // For a sentence only: it must not hold up the run.
      newestStep: (runId) =>
        checkpoints.newest(runId).then(
          (found) => found?.step,
          () => undefined,
        ),
      profileOf: (name) => settings.profiles.find((profile) => profile.name === name),
      runnerOf: ({ runId, attempt }) => ({
        endpointUrl: parts.endpointUrl(),
        attachToken: tokens.attachToken(runId, attempt),
        deliveryTimeoutMs: parts.deliveryTimeoutMs,
      }),
    });
    const identity = `${hostname()}-${randomUUID().slice(0, 8)}`;
    const durationMs = (settings.leaseSeconds ?? LEASE_SECONDS) * 1_000;
    // Of its own: a renewal must not wait behind the requests of thousands of runs.
    const client = connect(settings, metrics);
    this.election = new LeaderElection({ client, namespace, name: LEASE, identity, durationMs, logger });
  }

  /** Begins to watch, and to decide as often as this replica holds the lease. */
  start(decide: (signal: AbortSignal) => Promise<void>): void {
    this.watches.start();
    this.leading = this.lead(decide);
  }

  async stop(): Promise<void> {
    this.ended.abort();
    await this.leading;
    await this.watches.stop();
    this.signs.close();
  }

  /** By a list: of nodes nothing else is allowed. */
  private async nodeNow(name: string): Promise<V1Node | undefined> {
    return (await this.client.list(NODES, { fieldSelector: `metadata.name=${name}`, limit: 1 })).items[0];
  }

  private async lead(decide: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { signal } = this.ended;
    while (!signal.aborted) {
      await this.election
        .run(async (term) => {
          await this.watches.whenSynced(term);
          this.signs.restart();
          await Promise.all([decide(term), this.orphans.watch(term), this.timeline.tell(term)]);
        }, signal)
        .catch((err: unknown) => {
          if (!signal.aborted) this.parts.logger.error({ op: 'trainer.lead', ok: false, err });
        });
    }
  }
}

const isKnown = async (runs: KubernetesPlaceParts['runs'], runId: string): Promise<boolean> =>
  (await runs.get('spec', runId)) !== undefined || (await runs.get('status', runId)) !== undefined;

function connect(
  { kubeconfig, context, requestsPerSecond, requestBurst }: ClusterSettings,
  metrics: KubeMetrics,
): KubeClient {
  return KubeClient.fromConfig({
    cluster: kubeconfig === undefined ? 'in-cluster' : { file: kubeconfig, ...(context !== undefined && { context }) },
    fieldManager: FIELD_MANAGER,
    qps: requestsPerSecond,
    burst: requestBurst,
    metrics,
  });
}
