import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { canRunKubernetes } from '@luthier/testing/kube';
import { BenchCluster } from '../bench/support/bench-cluster.js';
import type { Size } from '../bench/support/measure-trainer.js';
import { recordTrainer } from '../bench/support/trainer-record.js';

/** So small that its figures say nothing: this is about the bench, not about the trainer. */
const SIZE: Size = { nodes: 4, runs: 12, finished: 12, endings: 6, endingsPerSecond: 10, calmMs: 300 };

const inCluster = (await canRunKubernetes()) ? describe : describe.skip;

inCluster('the bench of the trainer', () => {
  let bench: BenchCluster;
  beforeAll(async () => {
    bench = await BenchCluster.start({ nodes: SIZE.nodes, heartbeatMs: 1_000 });
  }, 900_000);
  afterAll(() => bench.stop());

  it('measures at any size, and leaves a record with all of its figures', async () => {
    const record = JSON.parse(JSON.stringify(await recordTrainer(bench, SIZE))) as Record<string, unknown>;
    expect(record).toMatchObject({ bench: 'trainer', size: SIZE });
    for (const figure of ['ratioToBareClient', 'ratioWithFinishedRuns', 'ratioUntilAllRun', 'eventToStatusP99Ms'])
      expect(record[figure]).toEqual(expect.any(Number));
    const cpuSeconds = { maker: expect.any(Number), 'kube-apiserver': expect.any(Number), nats: expect.any(Number) };
    expect(record['bare']).toMatchObject([{ cpuSeconds }, { cpuSeconds }]);
    expect(record['rounds']).toMatchObject([
      { finishedThere: 0, cpuSeconds },
      { finishedThere: SIZE.finished, cpuSeconds },
    ]);
  });
});
