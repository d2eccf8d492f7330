import { Inject, Injectable } from '@nestjs/common';
import { asc, eq, isNull } from 'drizzle-orm';
import { DATABASE } from '@luthier/service-kit';
import type { Database } from '@luthier/service-kit';
import { runs } from '../db/schema.js';
import type { tables } from '../db/schema.js';
import { RunStore } from './run.store.js';
import type { Run } from './run.js';

const MOST = 5_000;

@Injectable()
export class PgRunStore extends RunStore {
  constructor(@Inject(DATABASE) private readonly database: Database<typeof tables>) {
    super();
  }

  override async get(runId: string): Promise<Run | undefined> {
    const [run] = await this.database.select().from(runs).where(eq(runs.id, runId));
    return run;
  }

  override async unpurged(): Promise<Run[]> {
    return this.database.select().from(runs).where(isNull(runs.purgedAt)).orderBy(asc(runs.id)).limit(MOST);
  }

  override async underLock(runId: string, act: (run: Run) => Promise<Partial<Run>>): Promise<void> {
    await this.database.transaction(async (tx) => {
      const [run] = await tx.select().from(runs).where(eq(runs.id, runId)).for('update');
      if (!run) return;
      const patch = await act(run);
      if (Object.keys(patch).length > 0) await tx.update(runs).set(patch).where(eq(runs.id, runId));
    });
  }
}
