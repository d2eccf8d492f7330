import { Injectable } from '@nestjs/common';
import { Counter, Gauge, Histogram } from 'prom-client';
import { JOB_STATUSES } from '@luthier/contracts';
import { ServiceMetrics } from '@luthier/service-kit';
import { JobStore } from './jobs/job.store.js';

/**
 * What an operator watches of jobs; documented in docs/reference/metrics.md. While the database is away, what is read from
 * it is left out, and nothing else with it.
 */
@Injectable()
export class TrainingMetrics {
  readonly attempts: Counter<'reason'>;
  readonly timeToFirstStep: Histogram;
  readonly wait: Histogram;

  constructor({ registry }: ServiceMetrics, store: JobStore) {
    const registers = [registry];
    this.attempts = new Counter({
      name: 'luthier_run_attempts_total',
      help: 'Attempts of runs by reason: first, resumed, or the code that ended the one before.',
      labelNames: ['reason'],
      registers,
    });
    this.timeToFirstStep = new Histogram({
      name: 'luthier_job_time_to_first_step_seconds',
      help: 'From the creation of a job to its first optimiser step.',
      buckets: [5, 15, 30, 60, 120, 300, 900, 3600, 14_400],
      registers,
    });
    this.wait = new Histogram({
      name: 'luthier_job_wait_seconds',
      help: 'From the creation of a job to the moment at which its first run is let into a place.',
      buckets: [5, 15, 30, 60, 120, 300, 900, 3600, 14_400, 86_400],
      registers,
    });
    new Gauge({
      name: 'luthier_jobs_oldest_waiting_seconds',
      help: 'Age of the oldest job that waits for a place; 0 when none waits.',
      registers,
      async collect() {
        this.reset();
        const oldest = await store.oldestWaiting().catch(() => undefined);
        if (oldest !== undefined) this.set(oldest === null ? 0 : Math.max(0, Date.now() - Date.parse(oldest)) / 1_000);
      },
    });
    new Gauge({
      name: 'luthier_jobs',
      help: 'Jobs by status.',
      labelNames: ['status'],
      registers,
      async collect() {
        this.reset();
        const counts = await store.countByStatus().catch(() => undefined);
        if (!counts) return;
        // A status without jobs is 0, so that the first one to reach it is seen as a rise.
        for (const status of JOB_STATUSES) this.set({ status }, 0);
        for (const { status, count } of counts) this.set({ status }, count);
      },
    });
  }
}
