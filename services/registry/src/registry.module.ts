import { fileURLToPath } from 'node:url';
import { Inject, Injectable, Module } from '@nestjs/common';
import type { DynamicModule, OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import { join } from 'node:path';
import { ArtifactStore, LocalFolders, openArtifactStore } from '@luthier/artifacts';
import { DatabaseModule, LOGGER, ServiceMetrics } from '@luthier/service-kit';
import type { Logger } from '@luthier/service-kit';
import { inbox, outbox, tables } from './db/schema.js';
import { ExportsService } from './exports/exports.service.js';
import { Importer } from './import/importer.js';
import { SourceFetcher } from './import/source-fetcher.js';
import { ModelStore } from './models/model.store.js';
import { PgModelStore } from './models/model.store.pg.js';
import { ModelsEvents } from './models/models.events.js';
import { ModelsRpc } from './models/models.rpc.js';
import { ModelsService } from './models/models.service.js';
import type { RegistryConfig } from './registry.config.js';

@Injectable()
class ImporterLife implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(@Inject(Importer) private readonly importer: Importer) {}
  onApplicationBootstrap(): Promise<void> {
    return this.importer.start();
  }
  onApplicationShutdown(): Promise<void> {
    return this.importer.stop();
  }
}

@Module({})
class RegistryModule {}

/** The registry: base and tuned models, their files, lineage and proof. */
export function registryModule(config: RegistryConfig): DynamicModule {
  return {
    module: RegistryModule,
    imports: [
      DatabaseModule.forService({
        schemaName: 'registry',
        migrationsFolder: fileURLToPath(new URL('./db/migrations', import.meta.url)),
        url: config.databaseUrl,
        poolMax: config.databasePoolMax,
        tables,
        outbox,
        inbox,
      }),
    ],
    controllers: [ModelsRpc],
    providers: [
      { provide: ArtifactStore, useFactory: () => openArtifactStore(config.artifacts) },
      { provide: ModelStore, useClass: PgModelStore },
      {
        provide: Importer,
        inject: [ModelStore, ArtifactStore, LOGGER, ServiceMetrics],
        useFactory: (store: ModelStore, artifacts: ArtifactStore, logger: Logger, metrics: ServiceMetrics) =>
          new Importer({
            store,
            artifacts,
            logger,
            metrics,
            workDir: config.workDir,
            fetcher: new SourceFetcher(config),
          }),
      },
      {
        provide: ModelsService,
        inject: [ModelStore, ArtifactStore, Importer],
        useFactory: (store: ModelStore, artifacts: ArtifactStore, importer: Importer) =>
          new ModelsService(store, artifacts, importer),
      },
      {
        provide: ExportsService,
        inject: [ModelsService, ArtifactStore],
        useFactory: (models: ModelsService, artifacts: ArtifactStore) => {
          const cacheDir = join(config.workDir, 'models');
          const folders = new LocalFolders(artifacts, { cacheDir, maxSizeBytes: config.modelBytesMax });
          const limits = { memoryMib: config.parityMemoryMib, timeoutMs: config.parityTimeoutS * 1_000 };
          return new ExportsService(models, artifacts, folders, config.workDir, limits);
        },
      },
      ModelsEvents,
      ImporterLife,
    ],
  };
}
