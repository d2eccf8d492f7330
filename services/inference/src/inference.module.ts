import { join } from 'node:path';
import { ArtifactStore, LocalFolders, openArtifactStore } from '@luthier/artifacts';
import { LOGGER } from '@luthier/service-kit';
import type { Logger } from '@luthier/service-kit';
import { Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { AnswersRpc } from './answers/answers.rpc.js';
import { AnswersService } from './answers/answers.service.js';
import { LlamaEngine } from '@luthier/llama-cpp';
import { Turns } from './engine/turns.js';
import type { InferenceConfig } from './inference.config.js';
import { AnswerMetrics } from './inference.metrics.js';
import { GgufCache } from './models/gguf-cache.js';
import { ModelFiles } from './models/model-files.js';

const BYTES_PER_MIB = 1024 * 1024;

@Module({})
export class InferenceModule {
  static forConfig(config: InferenceConfig): DynamicModule {
    return {
      module: InferenceModule,
      controllers: [AnswersRpc],
      providers: [
        { provide: ArtifactStore, useFactory: () => openArtifactStore(config.artifacts) },
        {
          provide: LocalFolders,
          inject: [ArtifactStore],
          useFactory: (artifacts: ArtifactStore) =>
            new LocalFolders(artifacts, {
              cacheDir: join(config.workDir, 'models'),
              maxSizeBytes: config.modelCacheMib * BYTES_PER_MIB,
            }),
        },
        {
          provide: GgufCache,
          useFactory: () => new GgufCache(join(config.workDir, 'gguf'), config.ggufCacheMib * BYTES_PER_MIB),
        },
        { provide: LlamaEngine, useFactory: () => new LlamaEngine(config) },
        { provide: Turns, useFactory: () => new Turns(config.maxWaiting) },
        AnswerMetrics,
        ModelFiles,
        {
          provide: AnswersService,
          inject: [ModelFiles, LlamaEngine, Turns, AnswerMetrics, LOGGER],
          useFactory: (files: ModelFiles, engine: LlamaEngine, turns: Turns, metrics: AnswerMetrics, logger: Logger) =>
            new AnswersService(files, engine, turns, metrics, logger, config.idleUnloadMs),
        },
      ],
    };
  }
}
