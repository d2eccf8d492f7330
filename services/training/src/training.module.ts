import { fileURLToPath } from 'node:url';
import { Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { ArtifactStore, openArtifactStore } from '@luthier/artifacts';
import { DatabaseModule } from '@luthier/service-kit';
import { inbox, outbox, tables } from './db/schema.js';
import { AdvanceJob } from './jobs/advance/advance-job.js';
import { Admit } from './jobs/advance/admit.js';
import { Evaluate } from './jobs/advance/evaluate.js';
import { FollowRun } from './jobs/advance/follow-run.js';
import { PlanAndQueue } from './jobs/advance/plan-and-queue.js';
import { PrepareDatasets } from './jobs/advance/prepare-datasets.js';
import { RegisterModel } from './jobs/advance/register-model.js';
import { ValidateFiles } from './jobs/advance/validate-files.js';
import { JobOrders } from './jobs/job-orders.js';
import { JobStore } from './jobs/job.store.js';
import { PgJobStore } from './jobs/job.store.pg.js';
import { JobWorker } from './jobs/job-worker.js';
import { JobsEvents } from './jobs/jobs.events.js';
import { JobsRpc } from './jobs/jobs.rpc.js';
import { JobsService } from './jobs/jobs.service.js';
import { StartingPoints } from './jobs/starting-point.js';
import { Projector } from './runs/projector.js';
import { RunFiles } from './runs/run-files.js';
import { RunStore } from './runs/run.store.js';
import { PgRunStore } from './runs/run.store.pg.js';
import { RunEvents } from './runs/runs.events.js';
import { RunsMetrics } from './runs/runs.metrics.js';
import { StatusFollower } from './runs/status-follower.js';
import { TRAINING_CONFIG } from './training.config.js';
import type { TrainingConfig } from './training.config.js';
import { TrainingMetrics } from './training.metrics.js';

@Module({})
export class TrainingModule {
  static forRoot(config: TrainingConfig): DynamicModule {
    return {
      module: TrainingModule,
      imports: [
        DatabaseModule.forService({
          schemaName: 'training',
          migrationsFolder: fileURLToPath(new URL('./db/migrations', import.meta.url)),
          url: config.databaseUrl,
          poolMax: config.databasePoolMax,
          tables,
          outbox,
          inbox,
        }),
      ],
      controllers: [JobsRpc],
      providers: [
        { provide: TRAINING_CONFIG, useValue: config },
        { provide: ArtifactStore, useFactory: () => openArtifactStore(config.artifacts) },
        { provide: JobStore, useClass: PgJobStore },
        { provide: RunStore, useClass: PgRunStore },
        RunFiles,
        Projector,
        TrainingMetrics,
        ValidateFiles,
        PrepareDatasets,
        PlanAndQueue,
        Admit,
        FollowRun,
        RegisterModel,
        Evaluate,
        AdvanceJob,
        JobWorker,
        JobsService,
        StartingPoints,
        JobOrders,
        JobsEvents,
        RunEvents,
        RunsMetrics,
        StatusFollower,
      ],
    };
  }
}
