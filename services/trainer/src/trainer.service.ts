import { mkdir } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { ArtifactStore } from '@luthier/artifacts';
import type { MessageBus, RunsBucket } from '@luthier/messaging';
import type { Logger, ServiceMetrics } from '@luthier/service-kit';
import { Checkpoints } from './endpoint/checkpoints.js';
import { RunEndpointServer } from './endpoint/run-endpoint.server.js';
import { RunEndpointService } from './endpoint/run-endpoint.service.js';
import { RunPublisher } from './endpoint/run-publisher.js';
import { RunTokens } from './endpoint/run-tokens.js';
import { OutcomeCollector } from './process/outcome-collector.js';
import { ProcessExecutor } from './process/process-executor.js';
import { takeWorkDirLock } from './process/run-lock.js';
import { Reconciler } from './runs/reconciler.js';
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

const WORK_DIR_LOCK_TIMEOUT_MS = 15_000;

/** Puts the trainer together and orders its start and end. */
export class TrainerService {
  readonly executor: ProcessExecutor;
  private readonly reconciler: Reconciler;
  private readonly endpoint: RunEndpointServer;

  private constructor(
    private readonly config: TrainerConfig,
    { runs, bus, store, logger, metrics }: TrainerParts,
    tokens: RunTokens,
    private readonly lock: FileHandle,
  ) {
    const publisher = new RunPublisher(bus);
    const checkpoints = new Checkpoints(store, bus);
    this.executor = new ProcessExecutor({
      runsDir: runsDirOf(config),
      runnerCommand: config.runnerCommand,
      runtimeCommandOf: (profile) => config.profiles.find(({ name }) => name === profile)?.command,
      endpointUrl: () => this.endpoint.url,
      attachToken: (runId, attempt) => tokens.attachToken(runId, attempt),
      collector: new OutcomeCollector({ store, publisher, checkpoints }),
      runnerEnvironment: {
        ...environmentOfRunners(),
        LUTHIER_RUN_DELIVERY_TIMEOUT_MS: String(config.deliveryTimeoutMs),
      },
    });
    const service = new RunEndpointService({ runs, store, tokens, publisher, checkpoints, listener: this.executor });
    this.endpoint = new RunEndpointServer(service, logger);
    this.reconciler = new Reconciler({
      runs,
      executor: this.executor,
      metrics: new RunsMetrics(metrics.registry),
      logger,
      relistIntervalMs: config.relistIntervalMs,
    });
  }

  /** @throws Error when another trainer works in the same folder. */
  static async start(config: TrainerConfig, parts: TrainerParts): Promise<TrainerService> {
    await mkdir(runsDirOf(config), { recursive: true });
    const lock = await takeWorkDirLock(join(config.workDir, 'trainer.lock'), WORK_DIR_LOCK_TIMEOUT_MS);
    const tokens = await RunTokens.open(join(config.workDir, 'run-token.secret'));
    const trainer = new TrainerService(config, parts, tokens, lock);
    await trainer.endpoint.start(config.endpointHost, config.endpointPort);
    trainer.reconciler.start();
    return trainer;
  }

  get endpointUrl(): string {
    return this.endpoint.url;
  }

  /** Lets runs save what they have while the endpoint still serves; the next start tells how they ended. */
  async stop(): Promise<void> {
    await this.reconciler.stop();
    await this.executor.shutDown(this.config.stopOnShutdownMs);
    await this.endpoint.stop();
    await this.lock.close();
  }
}

export const runsDirOf = ({ workDir }: TrainerConfig): string => join(workDir, 'runs');
