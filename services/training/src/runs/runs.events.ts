import { Injectable } from '@nestjs/common';
import type { RunStreamMessage } from '@luthier/contracts';
import { OnRunMessage } from '@luthier/messaging';
import { JobStore } from '../jobs/job.store.js';
import { TrainingMetrics } from '../training.metrics.js';
import { applyClusterEvent } from './apply-cluster-event.js';
import { applyRunEvent } from './apply-run-event.js';
import { RunStore } from './run.store.js';

/** Reads the run stream into tables. A run's lines arrive one after the other, possibly more than once. */
@Injectable()
export class RunEvents {
  constructor(
    private readonly jobs: JobStore,
    private readonly runs: RunStore,
    private readonly metrics: TrainingMetrics,
  ) {}

  @OnRunMessage({ consumer: 'training-runs' })
  async handle(message: RunStreamMessage): Promise<void> {
    const { type } = message.event;
    if (type === 'heartbeat' || type === 'checkpoint' || type === 'result' || type === 'failed') return;
    const run = await this.runs.get(message.runId);
    if (!run || run.purgedAt !== null) return; // not ours, or long gone
    await this.jobs.change(run.jobId, async (tx) => {
      if (tx.run?.id !== message.runId) return; // the job has a newer run
      if (!('incarnation' in message)) return applyClusterEvent(tx, message);
      const first = tx.run.firstStepAt;
      await applyRunEvent(tx, message);
      if (first === null && tx.run.firstStepAt !== null) {
        this.metrics.timeToFirstStep.observe((Date.now() - Date.parse(tx.job.createdAt)) / 1000);
      }
    });
  }
}
