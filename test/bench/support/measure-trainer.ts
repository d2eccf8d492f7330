import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor } from '@luthier/testing';
import type { BenchCluster, BenchTrainer, Rollout } from './bench-cluster.js';
import { EventToStatus, quantileOf } from './event-to-status.js';
import type { MetricText } from './metric-text.js';
import { PodTimes } from './pod-times.js';

export interface Size {
  nodes: number;
  runs: number;
  /** Runs that are over and still in the bucket, for the second measurement. */
  finished: number;
  /** Runs whose pods end in the steady state, and how many of them a second. */
  endings: number;
  endingsPerSecond: number;
  /** A trainer that has taken no step for so long is idle. */
  calmMs: number;
}

/** Times are from the first `put`. */
export interface Round extends Rollout {
  finishedThere: number;
  apiCallsPerRun: number;
  /** Upper bound of the histogram's bucket. */
  reconcileP99Ms: number;
  /** All runs at once: from the pod's event to the status. */
  burstEventToStatusP99Ms: number | null;
  /** Pods that end at a steady rate. */
  eventToStatusP50Ms: number | null;
  eventToStatusP99Ms: number | null;
  /** Lists of whole kinds between the burst and the end of the steady state: watches that had to begin anew. */
  fullRelists: number;
  pssMib: { idle: number; after: number };
  kibPerRun: number;
}

const REQUESTS = 'luthier_kube_requests_total';
const RUN_KINDS = /^(jobs|configmaps|secrets|services)$/;
const isListOfKind = ({ verb, resource }: Readonly<Record<string, string>>): boolean =>
  verb === 'list' && resource !== 'events';

/** One life of a trainer that gets all runs at once, and then sees pods end one after another. */
export async function measureTrainer(bench: BenchCluster, size: Size, finishedThere: number): Promise<Round> {
  const namespace = await bench.plane.createNamespace();
  const trainer = await bench.startTrainer(namespace);
  try {
    await untilCalm(trainer, size.calmMs);
    const idle = await trainer.pssMib();
    const before = await trainer.metrics();
    const pods = await PodTimes.start(bench.plane.api, namespace);
    const delays = new EventToStatus(bench.harness.runs, pods);
    const specs = bench.specs(size.runs);
    const rollout = await bench.rollOut({ namespace, count: size.runs, maker: trainer.pid, pods }, () =>
      bench.put(specs),
    );
    const released = await trainer.metrics();
    const ids = specs.map(({ runId }) => runId);
    await waitFor(() => ids.every((runId) => delays.running.has(runId)), {
      ...{ timeoutMs: 600_000, intervalMs: 50, what: 'every run to be told as placed' },
    });
    const burst = delays.delaysMs('running');
    const reconcileP99Ms =
      (await trainer.metrics()).quantile('luthier_trainer_reconcile_duration_seconds', 0.99) * 1_000;
    await untilCalm(trainer, size.calmMs);
    const after = await trainer.pssMib();
    const steady = await trainer.metrics();
    await endSome(bench, delays, ids.slice(0, size.endings), size.endingsPerSecond);
    const ends = delays.delaysMs('ended');
    const fullRelists = (await trainer.metrics()).sum(REQUESTS, isListOfKind) - steady.sum(REQUESTS, isListOfKind);
    await delays.stop();
    return {
      ...{ finishedThere, ...rollout, reconcileP99Ms, fullRelists },
      apiCallsPerRun: callsFor(released) / size.runs - callsFor(before) / size.runs,
      burstEventToStatusP99Ms: quantileOf(burst, 0.99),
      eventToStatusP50Ms: quantileOf(ends, 0.5),
      eventToStatusP99Ms: quantileOf(ends, 0.99),
      pssMib: { idle, after },
      kibPerRun: ((after - idle) * 1_024) / size.runs,
    };
  } finally {
    await trainer.stop();
    await bench.clear(namespace);
    await bench.forgetRuns();
  }
}

/** Calls for objects of runs, without watches and the lists that watches begin with. */
const callsFor = (metrics: MetricText): number =>
  metrics.sum(REQUESTS, ({ verb, resource }) => verb !== 'watch' && verb !== 'list' && RUN_KINDS.test(resource ?? ''));

async function endSome(
  bench: BenchCluster,
  delays: EventToStatus,
  runIds: readonly string[],
  perSecond: number,
): Promise<void> {
  for (const runId of runIds) {
    const pod = delays.podOf(runId);
    if (pod) await bench.kubelet.end(pod, { exitCode: 0 });
    await sleep(1_000 / perSecond);
  }
  await waitFor(() => runIds.every((runId) => delays.ended.has(runId)), {
    ...{ timeoutMs: 120_000, intervalMs: 20, what: 'every end to be told' },
  });
}

/** Until no step was taken for so long. */
async function untilCalm(trainer: BenchTrainer, calmMs: number): Promise<void> {
  let [last, since] = [-1, performance.now()];
  const calm = async (): Promise<boolean> => {
    const steps = (await trainer.metrics()).sum('luthier_trainer_reconcile_duration_seconds_count');
    if (steps !== last) [last, since] = [steps, performance.now()];
    return performance.now() - since > calmMs;
  };
  await waitFor(calm, { timeoutMs: 300_000, intervalMs: 200, what: 'the trainer to be calm' });
}
