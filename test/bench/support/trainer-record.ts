import { cpus } from 'node:os';
import type { BenchCluster, Rollout } from './bench-cluster.js';
import { measureTrainer } from './measure-trainer.js';
import type { Round, Size } from './measure-trainer.js';

/** What the bench leaves behind, as JSON. */
export interface TrainerRecord {
  bench: 'trainer';
  at: string;
  node: string;
  cores: number;
  size: Size;
  /** Of the time that the same requests take without a trainer. */
  ratioToBareClient: number;
  ratioWithFinishedRuns: number;
  /** The same until every pod runs, with an empty bucket. */
  ratioUntilAllRun: number;
  eventToStatusP99Ms: number | null;
  /** Before and after. */
  bare: [Rollout, Rollout];
  /** With an empty bucket, and with finished runs in it. */
  rounds: [Round, Round];
}

/** Makes all runs at once; the same requests without a trainer are made before and after. */
export async function recordTrainer(bench: BenchCluster, size: Size): Promise<TrainerRecord> {
  const before = await bench.bare(size.runs);
  const empty = await measureTrainer(bench, size, 0);
  await bench.putFinished(size.finished);
  const full = await measureTrainer(bench, size, size.finished);
  const after = await bench.bare(size.runs);
  const bare = (what: 'seconds' | 'runningSeconds'): number => (before[what] + after[what]) / 2;
  return {
    ...{ bench: 'trainer', at: new Date().toISOString(), node: process.version, cores: cpus().length, size },
    ratioToBareClient: bare('seconds') / empty.seconds,
    ratioWithFinishedRuns: bare('seconds') / full.seconds,
    ratioUntilAllRun: bare('runningSeconds') / empty.runningSeconds,
    eventToStatusP99Ms: empty.eventToStatusP99Ms,
    bare: [before, after],
    rounds: [empty, full],
  };
}
