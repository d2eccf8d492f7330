import { once } from 'node:events';
import { join } from 'node:path';
import { folderOfStore } from '@luthier/artifacts';
import type { ArtifactStore } from '@luthier/artifacts';
import type { MessageBus, RunsBucket } from '@luthier/messaging';
import type { Logger, ServiceMetrics } from '@luthier/service-kit';
import { Checkpoints } from './endpoint/checkpoints.js';
import { RunEndpointServer } from './endpoint/run-endpoint.server.js';
import { RunEndpointService } from './endpoint/run-endpoint.service.js';
import type { RunListener } from './endpoint/run-endpoint.service.js';
import { RunPublisher } from './endpoint/run-publisher.js';
import { RunTokens } from './endpoint/run-tokens.js';
import { KubernetesPlace } from './kubernetes/kubernetes-place.js';
import { OutcomeCollector } from './process/outcome-collector.js';
import { ProcessExecutor } from './process/process-executor.js';
import { ProcessPlace } from './process/process-place.js';
import { Reconciler } from './runs/reconciler.js';
import type { RunExecutor } from './runs/run-executor.js';
import { RunsMetrics } from './runs/runs.metrics.js';
import { environmentOfRunners } from './trainer.config.js';
import type { TrainerConfig } from './trainer.config.js';

export interface TrainerParts {
  runs: RunsBucket;
  bus: MessageBus;
  store: ArtifactStore;
  logger: Logger;
  metrics: ServiceMetrics;
}

/** Where runs are made, and who may decide there. */
interface Place {
  readonly executor: RunExecutor & RunListener;
  /** Calls `decide` while this trainer is the one that decides; its signal ends the term. */
  start(decide: (signal: AbortSignal) => Promise<void>): void;
  stop(): Promise<void>;
  close?(): Promise<void>;
}

interface Shared {
  tokens: RunTokens;
  publisher: RunPublisher;
  checkpoints: Checkpoints;
  endpointUrl: () => string;
}

/** Puts the trainer together and orders its start and end. */
export class TrainerService {
  private constructor(
    private readonly place: Place,
    private readonly endpoint: RunEndpointServer,
  ) {}

  /** @throws Error when another trainer works in the same folder. */
  static async start(config: TrainerConfig, parts: TrainerParts): Promise<TrainerService> {
    const { runs, bus, store, logger, metrics } = parts;
    const shared: Shared = {
      tokens: await RunTokens.open(
        config.tokenSecretFile ?? join(config.workDir, 'run-token.secret'),
        config.tokenLifetimeMs,
      ),
      publisher: new RunPublisher(bus),
      checkpoints: new Checkpoints(store, bus),
      endpointUrl: () => config.endpointUrl ?? endpoint.url,
    };
    const place =
      config.executor === 'kubernetes' ? inCluster(config, parts, shared) : await here(config, parts, shared);
    const { tokens, publisher, checkpoints } = shared;
    const service = new RunEndpointService({ runs, store, tokens, publisher, checkpoints, listener: place.executor });
    const endpoint: RunEndpointServer = new RunEndpointServer(service, logger);
    await endpoint.start(config.endpointHost, config.endpointPort);
    const runsMetrics = new RunsMetrics(metrics.registry);
    const { relistIntervalMs } = config;
    place.start(async (term) => {
      const reconciler = new Reconciler({
        ...{ runs, executor: place.executor, metrics: runsMetrics, logger, relistIntervalMs },
      });
      reconciler.start();
      if (!term.aborted) await once(term, 'abort');
      await reconciler.stop();
    });
    return new TrainerService(place, endpoint);
  }

  get executor(): RunExecutor {
    return this.place.executor;
  }

  /** Undefined when runs are processes of this machine. */
  get cluster(): KubernetesPlace | undefined {
    return this.place instanceof KubernetesPlace ? this.place : undefined;
  }

  get endpointUrl(): string {
    return this.endpoint.url;
  }

  /** The endpoint serves until no run of this trainer's needs it. */
  async stop(): Promise<void> {
    await this.place.stop();
    await this.endpoint.stop();
    await this.place.close?.();
  }
}

function here(config: TrainerConfig, { store }: TrainerParts, shared: Shared): Promise<Place> {
  const { tokens, publisher, checkpoints, endpointUrl } = shared;
  const { workDir, stopOnShutdownMs: stopGraceMs } = config;
  const runsDir = runsDirOf(config);
  const executor = new ProcessExecutor({
    ...{ runsDir, endpointUrl, runnerCommand: config.runnerCommand },
    runtimeCommandOf: (profile) => config.profiles.find(({ name }) => name === profile)?.command,
    attachToken: (runId, attempt) => tokens.attachToken(runId, attempt),
    collector: new OutcomeCollector({ store, publisher, checkpoints }),
    runnerEnvironment: {
      ...environmentOfRunners(),
      LUTHIER_RUN_DELIVERY_TIMEOUT_MS: String(config.deliveryTimeoutMs),
    },
  });
  return ProcessPlace.open({ workDir, runsDir, stopGraceMs }, executor);
}

function inCluster(config: TrainerConfig, parts: TrainerParts, shared: Shared): Place {
  if (!config.cluster) throw new Error('the executor `kubernetes` needs LUTHIER_TRAINER_CLUSTER');
  const { runs, store, bus, logger, metrics } = parts;
  const { tokens, checkpoints, endpointUrl } = shared;
  return new KubernetesPlace({
    ...{ runs, store, bus, logger, checkpoints, tokens, endpointUrl, registry: metrics.registry },
    settings: config.cluster,
    artifactsDir: folderOfStore(config.artifacts),
    deliveryTimeoutMs: config.deliveryTimeoutMs,
  });
}

export const runsDirOf = ({ workDir }: TrainerConfig): string => join(workDir, 'runs');
