import { Injectable } from '@nestjs/common';
import { Counter, Gauge, Histogram } from 'prom-client';
import { ServiceMetrics } from '@luthier/service-kit';
import { JobStore } from './jobs/job.store.js';

/** What an operator watches of jobs; documented in docs/reference/metrics.md. */
@Injectable()
export class TrainingMetrics {
  readonly attempts: Counter<'reason'>;
  readonly timeToFirstStep: Histogram;

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
    new Gauge({
      name: 'luthier_jobs',
      help: 'Jobs by status.',
      labelNames: ['status'],
      registers,
      async collect() {
        this.reset();
        for (const { status, count } of await store.countByStatus()) this.set({ status }, count);
      },
    });
  }
}
