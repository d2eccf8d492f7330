import { Inject, Injectable } from '@nestjs/common';
import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import { LOGGER } from '@luthier/service-kit';
import type { Logger } from '@luthier/service-kit';
import { Projector } from '../runs/projector.js';
import { TRAINING_CONFIG } from '../training.config.js';
import type { TrainingConfig } from '../training.config.js';
import { AdvanceJob } from './advance/advance-job.js';
import { JobStore } from './job.store.js';

const CONCURRENCY = 4;
const PAGE = 200;

/** Advances jobs: at once when something has happened, and all unfinished ones every few seconds. */
@Injectable()
export class JobWorker implements OnApplicationBootstrap, OnApplicationShutdown {
  /** In the order in which they were woken; each at most once. */
  private readonly waiting = new Set<string>();
  private readonly active = new Map<string, Promise<void>>();
  private timer: NodeJS.Timeout | undefined;
  private sweeping: Promise<void> = Promise.resolve();
  private stopped = false;
  private reprojectedAt = 0;

  constructor(
    private readonly jobs: JobStore,
    private readonly advance: AdvanceJob,
    private readonly projector: Projector,
    @Inject(TRAINING_CONFIG) private readonly config: TrainingConfig,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    this.tick();
  }

  async onApplicationShutdown(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    this.waiting.clear();
    await this.sweeping;
    await Promise.all(this.active.values());
  }

  wake(jobId: string): void {
    if (this.stopped) return;
    this.waiting.add(jobId);
    this.pump();
  }

  /** Wakes every unfinished job. */
  async wakeAll(): Promise<void> {
    let afterSeq = 0;
    for (;;) {
      const page = await this.jobs.unfinished({ afterSeq, limit: PAGE });
      for (const { id, seq } of page) {
        this.wake(id);
        afterSeq = seq;
      }
      if (page.length < PAGE) return;
    }
  }

  /** Compares every open run's spec with the table: the bucket may be new, or a write was lost. */
  async reproject(): Promise<void> {
    this.reprojectedAt = Date.now();
    await this.projector.sweep(true);
  }

  private tick(): void {
    this.sweeping = this.sweep().then(() => {
      if (!this.stopped) this.timer = setTimeout(() => this.tick(), this.config.sweepIntervalMs);
    });
  }

  private async sweep(): Promise<void> {
    try {
      await this.wakeAll();
      if (Date.now() - this.reprojectedAt > this.config.reprojectIntervalMs) await this.reproject();
      else await this.projector.sweep(false);
    } catch (err) {
      this.logger.warn({ op: 'job.sweep', ok: false, err });
    }
  }

  private pump(): void {
    for (const jobId of this.waiting) {
      if (this.active.size >= CONCURRENCY) return;
      if (this.active.has(jobId)) continue; // woken while it is being advanced: once more afterwards
      this.waiting.delete(jobId);
      const work = this.run(jobId).finally(() => {
        this.active.delete(jobId);
        if (!this.stopped) this.pump();
      });
      this.active.set(jobId, work);
    }
  }

  private async run(jobId: string): Promise<void> {
    try {
      await this.advance.advance(jobId);
      const runId = (await this.jobs.get(jobId))?.runId;
      if (runId != null) await this.projector.project(runId);
    } catch (err) {
      this.logger.error({ op: 'job.advance', ok: false, jobId, err });
    }
  }
}
