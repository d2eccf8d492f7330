import { fileURLToPath } from 'node:url';
import { Inject, Injectable, Module } from '@nestjs/common';
import type { DynamicModule, OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import { ArtifactStore, openArtifactStore } from '@luthier/artifacts';
import { MessageBus } from '@luthier/messaging';
import { DatabaseModule, LOGGER, ServiceMetrics } from '@luthier/service-kit';
import type { Logger } from '@luthier/service-kit';
import type { DatasetsConfig } from './datasets.config.js';
import { inbox, outbox, tables } from './db/schema.js';
import { Expiry } from './files/expiry.js';
import { FileStore } from './files/file.store.js';
import { PgFileStore } from './files/file.store.pg.js';
import { FilesRpc } from './files/files.rpc.js';
import { FilesService } from './files/files.service.js';
import { Validator, validateInWorker } from './files/validator.js';
import { DatasetStore } from './preparation/dataset.store.js';
import { PgDatasetStore } from './preparation/dataset.store.pg.js';
import { PreparationRpc } from './preparation/preparation.rpc.js';
import { PreparationService } from './preparation/preparation.service.js';

@Injectable()
class BackgroundWork implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    @Inject(Validator) private readonly validator: Validator,
    @Inject(PreparationService) private readonly preparation: PreparationService,
    @Inject(Expiry) private readonly expiry: Expiry,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await Promise.all([this.validator.start(), this.preparation.start()]);
    this.expiry.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.validator.stop(), this.preparation.stop(), this.expiry.stop()]);
  }
}

@Module({})
class DatasetsModule {}

/** Files that users upload and the datasets that are prepared from them. */
export function datasetsModule(config: DatasetsConfig): DynamicModule {
  const { artifacts: artifactsUrl, workDir } = config;
  return {
    module: DatasetsModule,
    imports: [
      DatabaseModule.forService({
        schemaName: 'datasets',
        migrationsFolder: fileURLToPath(new URL('./db/migrations', import.meta.url)),
        url: config.databaseUrl,
        poolMax: config.databasePoolMax,
        tables,
        outbox,
        inbox,
      }),
    ],
    controllers: [FilesRpc, PreparationRpc],
    providers: [
      { provide: ArtifactStore, useFactory: () => openArtifactStore(artifactsUrl) },
      { provide: FileStore, useClass: PgFileStore },
      { provide: DatasetStore, useClass: PgDatasetStore },
      {
        provide: Validator,
        inject: [FileStore, LOGGER, ServiceMetrics],
        useFactory: (files: FileStore, logger: Logger, metrics: ServiceMetrics) =>
          new Validator(files, validateInWorker(artifactsUrl), logger, metrics),
      },
      {
        provide: FilesService,
        inject: [FileStore, DatasetStore, ArtifactStore, Validator, MessageBus],
        useFactory: (...parts: ConstructorParameters<typeof FilesService>) => new FilesService(...parts),
      },
      {
        provide: Expiry,
        inject: [FileStore, FilesService, LOGGER],
        useFactory: (store: FileStore, files: FilesService, logger: Logger) =>
          new Expiry(store, files, logger, config.expiryLookMs),
      },
      {
        provide: PreparationService,
        inject: [FileStore, DatasetStore, ArtifactStore, LOGGER, ServiceMetrics],
        useFactory: (
          files: FileStore,
          datasets: DatasetStore,
          artifacts: ArtifactStore,
          logger: Logger,
          metrics: ServiceMetrics,
        ) => new PreparationService({ files, datasets, artifacts, artifactsUrl, workDir, logger, metrics }),
      },
      BackgroundWork,
    ],
  };
}
