import { toldAtCount } from '@luthier/contracts';
import type { RunNews } from '@luthier/contracts';
import { isFinished } from '../jobs/job.js';
import type { JobTransaction } from '../jobs/job.store.js';

/**
 * Puts what the cluster says of an attempt onto the job's timeline. Idempotent: the same event counts once for each
 * tenfold of its count. The caller holds the lock and has checked that the run is the job's.
 */
export async function applyClusterEvent(tx: JobTransaction, { runId, attempt, event }: RunNews): Promise<void> {
  const { run, job } = tx;
  const isCurrent = run?.attempt === attempt && run.live;
  // That pods of an earlier attempt are removed is of no interest any more; a warning about them may be.
  if (isFinished(job) || (event.level === 'info' && !isCurrent)) return;
  const { level, what, reason, message, excerpt, object, node, count, firstAt, lastAt } = event;
  await tx.clusterEvent({ runId, attempt }, `${event.uid}:${toldAtCount(count)}`, {
    ...{ level, type: 'message', message },
    data: {
      ...{ source: 'kubernetes', run_id: runId, attempt, what, reason, object, node, count },
      ...{ first_at: firstAt, last_at: lastAt, excerpt },
    },
  });
}
