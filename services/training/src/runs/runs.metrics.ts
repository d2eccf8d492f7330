import { Injectable } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { ServiceMetrics } from '@luthier/service-kit';
import { JobStore } from '../jobs/job.store.js';
import type { RunningJob } from '../jobs/job.store.js';

const MIB = 1024 * 1024;

interface RunGauge {
  readonly name: string;
  readonly help: string;
  /** Undefined: there is nothing to say of this run yet. */
  readonly value: (running: RunningJob) => number | undefined;
}

/** Of each run by its id alone; what it is, `luthier_run_info` says. */
const RUN_GAUGES: readonly RunGauge[] = [
  { name: 'luthier_run_attempt', help: 'Attempt of a run.', value: ({ job }) => job.attempts.at(-1)?.attempt },
  { name: 'luthier_run_step', help: 'Newest optimiser step of a run.', value: ({ job }) => job.progress?.step },
  {
    name: 'luthier_run_total_steps',
    help: 'Optimiser steps that a run will make.',
    value: ({ job }) => job.progress?.totalSteps ?? job.plan?.steps,
  },
  { name: 'luthier_run_loss', help: 'Training loss of the newest step.', value: ({ newest }) => newest['loss'] },
  {
    name: 'luthier_run_learning_rate',
    help: 'Learning rate of the newest step.',
    value: ({ newest }) => newest['learningRate'],
  },
  {
    name: 'luthier_run_gradient_norm',
    help: 'Norm of the gradients of the newest step.',
    value: ({ newest }) => newest['gradNorm'],
  },
  {
    name: 'luthier_run_tokens_per_second',
    help: 'Tokens that went through the model in a second of the newest step, in all processes.',
    value: ({ newest }) => newest['tokensPerSecond'],
  },
  {
    name: 'luthier_run_step_seconds',
    help: 'Time of the newest step.',
    value: ({ newest }) => seconds(newest['stepMs']),
  },
  {
    name: 'luthier_run_memory_used_bytes',
    help: 'Memory that the first process of a run has taken at most, as its runtime says: of its GPU, else of the host.',
    value: ({ newest }) => bytes(newest['memoryMib']),
  },
  {
    name: 'luthier_run_memory_planned_bytes',
    help: 'Memory that the plan of a run gives each of its processes.',
    value: ({ job }) => bytes(job.plan?.measured?.memoryMib ?? job.plan?.totalMib),
  },
  {
    name: 'luthier_run_last_step_timestamp_seconds',
    help: 'When a run that trains has made its newest step, or its attempt has begun where that is later.',
    value: ({ job }) => (job.phase === 'training' ? lastSign(job) / 1_000 : undefined),
  },
];

const bytes = (mib: number | undefined): number | undefined => (mib === undefined ? undefined : mib * MIB);
const seconds = (ms: number | undefined): number | undefined => (ms === undefined ? undefined : ms / 1_000);

/** In ms since 1970. */
const lastSign = ({ progressToldAtMs, attempts }: RunningJob['job']): number =>
  Math.max(progressToldAtMs, Date.parse(attempts.at(-1)?.startedAt ?? '') || 0);

/**
 * What is known of each run that is under way. Read from the tables whenever it is asked for: every replica says the same,
 * and a run that has ended leaves no series behind.
 */
@Injectable()
export class RunsMetrics {
  private reading: Promise<RunningJob[]> | undefined;

  constructor(
    { registry }: ServiceMetrics,
    private readonly store: JobStore,
  ) {
    const registers = [registry];
    const read = (): Promise<RunningJob[]> => this.read();
    new Gauge({
      name: 'luthier_run_info',
      help: '1 for each run that is under way, with what it is.',
      labelNames: ['run_id', 'job_id', 'method', 'tuning', 'base_model', 'project'],
      registers,
      async collect() {
        this.reset();
        for (const { job } of await read()) this.set(labelsOf(job), 1);
      },
    });
    for (const { name, help, value } of RUN_GAUGES) {
      new Gauge({
        ...{ name, help, registers },
        labelNames: ['run_id'],
        async collect() {
          this.reset();
          for (const running of await read()) {
            const found = value(running);
            if (found !== undefined) this.set({ run_id: running.job.runId ?? '' }, found);
          }
        },
      });
    }
  }

  /** One look at the tables serves all series of a scrape. While they are away there are none, and all others are there. */
  private read(): Promise<RunningJob[]> {
    this.reading ??= this.store
      .running()
      .catch(() => [])
      .finally(() => (this.reading = undefined));
    return this.reading;
  }
}

const labelsOf = ({ id, runId, request, tuning, base }: RunningJob['job']): Record<string, string> => ({
  ...{ run_id: runId ?? '', job_id: id, method: request.method.type, tuning: tuning.type },
  base_model: base?.name ?? request.model,
  project: request.metadata['project'] ?? '',
});
