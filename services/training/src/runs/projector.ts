import { Inject, Injectable } from '@nestjs/common';
import { RunsBucket } from '@luthier/messaging';
import { LOGGER } from '@luthier/service-kit';
import type { Logger } from '@luthier/service-kit';
import { specOf } from './run.js';
import type { Run } from './run.js';
import { RunStore } from './run.store.js';

/** Closed keys stay this long, so that a trainer that was away can still clean up. */
const PURGED_AFTER_MS = 24 * 60 * 60 * 1000;

/** Writes `<runId>.spec`: always the row's current state, always under the row's lock. */
@Injectable()
export class Projector {
  constructor(
    private readonly runs: RunStore,
    private readonly bucket: RunsBucket,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Safe to call at any time. `again`: also what was written before (the bucket may have been emptied). */
  async project(runId: string, again = false): Promise<void> {
    await this.runs.underLock(runId, async (run) => {
      if (run.purgedAt !== null) return {};
      const { projectedGeneration, generation } = run;
      if (!again && projectedGeneration === generation) return {};
      if (again && (await this.isCurrent(run))) return {};
      await this.bucket.put('spec', specOf(run));
      return { projectedGeneration: generation };
    });
  }

  /** Projects what is behind; with `again` compares everything. Purges keys of runs that finished a day ago. */
  async sweep(again: boolean, now = Date.now()): Promise<void> {
    for (const run of await this.runs.unpurged()) {
      try {
        if (run.closed && run.finishedAt !== null && now - Date.parse(run.finishedAt) > PURGED_AFTER_MS) {
          await this.purge(run.id);
        } else if (run.projectedGeneration !== run.generation || (again && !run.closed)) {
          await this.project(run.id, again);
        }
      } catch (err) {
        this.logger.warn({ op: 'run.project', ok: false, runId: run.id, err });
      }
    }
  }

  private async purge(runId: string): Promise<void> {
    await this.runs.underLock(runId, async () => {
      await this.bucket.delete('spec', runId);
      await this.bucket.delete('status', runId);
      return { purgedAt: new Date().toISOString() };
    });
  }

  private async isCurrent(run: Run): Promise<boolean> {
    const entry = await this.bucket.get('spec', run.id);
    return entry?.value.generation === run.generation && entry.value.attempt === run.attempt;
  }
}
