import { Inject, Injectable } from '@nestjs/common';
import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import type { RunStatus } from '@luthier/contracts';
import { RunsBucket } from '@luthier/messaging';
import { LOGGER } from '@luthier/service-kit';
import type { Logger } from '@luthier/service-kit';
import { JobStore } from '../jobs/job.store.js';
import { JobWorker } from '../jobs/job-worker.js';
import { tellStatus } from './run-phase.js';
import { withStatus } from './run.js';
import { RunStore } from './run.store.js';

/** Stores every status that the trainer writes, notes in the spec what was seen, and wakes the job. */
@Injectable()
export class StatusFollower implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly ending = new AbortController();
  private following: Promise<void> | undefined;

  constructor(
    private readonly bucket: RunsBucket,
    private readonly runs: RunStore,
    private readonly jobs: JobStore,
    private readonly worker: JobWorker,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    this.following = this.follow();
  }

  async onApplicationShutdown(): Promise<void> {
    this.ending.abort();
    await this.following;
  }

  private async follow(): Promise<void> {
    for await (const change of this.bucket.watch('status', { signal: this.ending.signal })) {
      if (change.type === 'put') await this.store(change.entry.value);
      if (change.type === 'list') {
        for (const { value } of change.entries) await this.store(value);
        await this.reproject();
      }
    }
  }

  /** Not done now is done with the next list, or by the worker's sweep. */
  private async reproject(): Promise<void> {
    try {
      await this.worker.reproject();
    } catch (err) {
      this.logger.warn({ op: 'run.reproject', ok: false, err });
    }
  }

  /** A fault is logged and not lost: every list brings the status again. */
  private async store(status: RunStatus): Promise<void> {
    try {
      const known = await this.runs.get(status.runId);
      if (!known || !withStatus(known, status)) return;
      await this.jobs.change(known.jobId, async (tx) => {
        const next = tx.run?.id === status.runId ? withStatus(tx.run, status) : undefined;
        if (!next) return;
        await tx.saveRun(next);
        await tellStatus(tx, status);
      });
      this.worker.wake(known.jobId);
    } catch (err) {
      this.logger.warn({ op: 'run.status', ok: false, runId: status.runId, err });
    }
  }
}
