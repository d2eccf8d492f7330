import { Injectable } from '@nestjs/common';
import {
  datasetPrepared,
  datasetRefused,
  evaluationCompleted,
  evaluationFailed,
  fileValidated,
  modelImported,
} from '@luthier/contracts';
import type { EventOf } from '@luthier/contracts';
import { OnEvent } from '@luthier/messaging';
import { JobWorker } from './job-worker.js';

const consumer = 'training';

/**
 * News of other services only say "look again": nothing of their payload is stored, so a repeated or lost delivery does
 * no harm, and no record of handled events is needed.
 */
@Injectable()
export class JobsEvents {
  constructor(private readonly worker: JobWorker) {}

  @OnEvent(fileValidated, { consumer })
  onFileValidated(): Promise<void> {
    return this.worker.wakeAll();
  }

  @OnEvent(datasetPrepared, { consumer })
  onDatasetPrepared(): Promise<void> {
    return this.worker.wakeAll();
  }

  @OnEvent(datasetRefused, { consumer })
  onDatasetRefused(): Promise<void> {
    return this.worker.wakeAll();
  }

  @OnEvent(modelImported, { consumer })
  onModelImported(): Promise<void> {
    return this.worker.wakeAll();
  }

  @OnEvent(evaluationCompleted, { consumer })
  onEvaluationCompleted({ jobId }: EventOf<typeof evaluationCompleted>): void {
    this.worker.wake(jobId);
  }

  @OnEvent(evaluationFailed, { consumer })
  onEvaluationFailed({ jobId }: EventOf<typeof evaluationFailed>): void {
    this.worker.wake(jobId);
  }
}
