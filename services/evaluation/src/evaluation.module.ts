import { fileURLToPath } from 'node:url';
import { MessageBus } from '@luthier/messaging';
import { DatabaseModule, LOGGER } from '@luthier/service-kit';
import type { Logger } from '@luthier/service-kit';
import { Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { inbox, outbox } from './db/schema.js';
import type { EvaluationConfig } from './evaluation.config.js';
import { AnswerCollector } from './evaluations/answer-collector.js';
import { EvaluationStore } from './evaluations/evaluation.store.js';
import { EvaluationStorePg } from './evaluations/evaluation.store.pg.js';
import { EvaluationWorker } from './evaluations/evaluation.worker.js';
import { EvaluationsEvents } from './evaluations/evaluations.events.js';
import { EvaluationsRpc } from './evaluations/evaluations.rpc.js';
import { EvaluationsService } from './evaluations/evaluations.service.js';

@Module({})
export class EvaluationModule {
  static forConfig(config: EvaluationConfig): DynamicModule {
    return {
      module: EvaluationModule,
      imports: [
        DatabaseModule.forService({
          schemaName: 'evaluation',
          migrationsFolder: fileURLToPath(new URL('db/migrations', import.meta.url)),
          url: config.databaseUrl,
          poolMax: config.databasePoolMax,
          outbox,
          inbox,
        }),
      ],
      controllers: [EvaluationsRpc],
      providers: [
        { provide: EvaluationStore, useClass: EvaluationStorePg },
        {
          provide: AnswerCollector,
          inject: [MessageBus, EvaluationStore],
          useFactory: (bus: MessageBus, store: EvaluationStore) => new AnswerCollector(bus, store, config),
        },
        {
          provide: EvaluationWorker,
          inject: [EvaluationStore, AnswerCollector, LOGGER],
          useFactory: (store: EvaluationStore, collector: AnswerCollector, logger: Logger) =>
            new EvaluationWorker(store, collector, logger, config),
        },
        EvaluationsService,
        EvaluationsEvents,
      ],
    };
  }
}
