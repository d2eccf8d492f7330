import { setTimeout as sleep } from 'node:timers/promises';
import type { RunStatus } from '@luthier/contracts';
import { steadyPort } from '@luthier/testing';
import type { Plan } from './run-plans.js';
import { randomOf } from './random.js';
import type { TrainingCluster } from './training-cluster.js';

export interface KillOptions {
  seed: number;
  kills: number;
  runs: number;
  /** Until every run must have ended once the last kill is over. @default 120000 */
  settleMs?: number;
  note?: (message: string) => void;
}

export interface KillRecord {
  seed: number;
  kills: { trainer: number; apiServer: number };
  runs: number;
  /** Runs that did not end as their pods did. */
  endedOtherwise: string[];
  /** Runs of which not exactly one Job was ever let go. */
  notOnce: string[];
  /** Objects that were still there when all runs were closed. */
  left: string[];
  seconds: number;
}

const PLANS: readonly ((random: () => number) => Plan)[] = [
  (random) => ({ type: 'done', afterMs: lifeMs(random) }),
  (random) => ({ type: 'fault', code: 'data.bad', afterMs: lifeMs(random) }),
  (random) => ({ type: 'process', behaviour: { steps: 10 + Math.floor(random() * 60), stepMs: 50 } }),
  (random) => ({ type: 'killed', afterMs: lifeMs(random) }),
  () => ({ type: 'obeys' }),
  (random) => ({ type: 'fault', code: 'training.diverged', afterMs: lifeMs(random) }),
  () => ({ type: 'deaf' }),
];
const lifeMs = (random: () => number): number => Math.round(200 + random() * 5_000);

/** Of ten kills three are of the API server. */
const API_SHARE = 0.3;
const DEFAULT_SETTLE_MS = 120_000;

/** Kills trainer and API server while runs come and go, and looks whether each run has ended as its pods did. */
export async function killAtRandom(place: TrainingCluster, options: KillOptions): Promise<KillRecord> {
  const { seed, kills, runs, settleMs = DEFAULT_SETTLE_MS, note } = options;
  const random = randomOf(seed);
  const started = performance.now();
  const port = await steadyPort();
  place.front.lead(port);
  let trainer = place.startTrainerProcess(port);
  const counts = { trainer: 0, apiServer: 0 };
  const seen: Promise<RunStatus>[] = [];
  const ids: string[] = [];
  const untilMs = Date.now() + kills * 20_000 + settleMs;
  try {
    for (let kill = 0; kill < kills; kill++) {
      for (const wanted = Math.ceil(((kill + 1) / kills) * runs); ids.length < wanted;) {
        const plan = PLANS[ids.length % PLANS.length]?.(random) ?? { type: 'deaf' };
        const runId = await place.put(plan);
        ids.push(runId);
        seen.push(place.see(runId, { timeoutMs: untilMs - Date.now() }));
      }
      await sleep(random() * 1_500);
      if (random() < API_SHARE) {
        counts.apiServer++;
        await place.cluster.stopApiServer();
        await sleep(random() * 500);
        await place.cluster.startApiServer();
      } else {
        counts.trainer++;
        await trainer.kill();
        await sleep(random() * 300);
        trainer = place.startTrainerProcess(port);
      }
      note?.(`kill ${kill + 1} of ${kills}`);
    }
    const statuses = await Promise.all(seen);
    await place.untilNoObjects().catch(() => undefined);
    const { seen: ended, planned } = place.ends(statuses);
    const differs = (runId: string): boolean => JSON.stringify(ended[runId]) !== JSON.stringify(planned[runId]);
    const released = place.released(ids);
    return {
      ...{ seed, kills: counts, runs: ids.length },
      endedOtherwise: ids
        .filter(differs)
        .map(
          (id) =>
            `${id}: ${JSON.stringify({ ended: ended[id], planned: planned[id], status: statuses.find(({ runId }) => runId === id) })}`,
        ),
      notOnce: ids.filter((_id, index) => released[index] !== 1),
      left: await place.objects(),
      seconds: Math.round((performance.now() - started) / 1_000),
    };
  } catch (cause) {
    throw new Error(`seed ${seed}; the trainer said: ${trainer.log}`, { cause });
  } finally {
    await Promise.allSettled(seen);
    await trainer.kill();
  }
}
