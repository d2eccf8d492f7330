import { Inject, Injectable, Module } from '@nestjs/common';
import type { DynamicModule, OnModuleDestroy } from '@nestjs/common';
import { ArtifactStore, openArtifactStore } from '@luthier/artifacts';
import { MessageBus, RunsBucket } from '@luthier/messaging';
import { LOGGER, ServiceMetrics } from '@luthier/service-kit';
import type { Logger } from '@luthier/service-kit';
import { RuntimeCapabilities } from './inventory/capabilities.js';
import { InventoryMetrics } from './inventory/inventory.metrics.js';
import { InventorySource } from './inventory/inventory-source.js';
import { InventoryReader } from './inventory/inventory.js';
import { TrainerRpc } from './inventory/trainer.rpc.js';
import { FolderLogs } from './logs/folder-logs.js';
import { RunLog } from './logs/run-log.js';
import { StoredLogs } from './logs/stored-logs.js';
import { environmentOfRunners } from './trainer.config.js';
import type { TrainerConfig } from './trainer.config.js';
import { TrainerService, runsDirOf } from './trainer.service.js';

/** Ends the trainer before the connection to NATS goes. */
@Injectable()
class TrainerLifecycle implements OnModuleDestroy {
  constructor(@Inject(TrainerService) private readonly trainer: TrainerService) {}
  onModuleDestroy(): Promise<void> {
    return this.trainer.stop();
  }
}

@Module({})
export class TrainerModule {
  static forRoot(config: TrainerConfig): DynamicModule {
    return {
      module: TrainerModule,
      controllers: [TrainerRpc],
      providers: [
        TrainerLifecycle,
        { provide: ArtifactStore, useFactory: () => openArtifactStore(config.artifacts) },
        {
          provide: TrainerService,
          inject: [RunsBucket, MessageBus, ArtifactStore, LOGGER, ServiceMetrics],
          useFactory: (
            runs: RunsBucket,
            bus: MessageBus,
            store: ArtifactStore,
            logger: Logger,
            metrics: ServiceMetrics,
          ) => TrainerService.start(config, { runs, bus, store, logger, metrics }),
        },
        {
          provide: InventorySource,
          inject: [TrainerService, RunsBucket, LOGGER],
          useFactory: ({ executor, cluster }: TrainerService, runs: RunsBucket, logger: Logger) =>
            cluster?.inventory ??
            new InventoryReader(config.profiles, {
              executor,
              runs,
              capabilities: new RuntimeCapabilities(logger, environmentOfRunners()),
            }),
        },
        InventoryMetrics,
        {
          provide: RunLog,
          inject: [ArtifactStore, TrainerService],
          useFactory: (store: ArtifactStore, { cluster }: TrainerService) =>
            new RunLog([cluster?.logs ?? new FolderLogs(runsDirOf(config)), new StoredLogs(store)]),
        },
      ],
      exports: [TrainerService],
    };
  }
}
