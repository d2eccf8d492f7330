import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { writeFile } from 'node:fs/promises';
import { BenchCluster } from './support/bench-cluster.js';
import type { Size } from './support/measure-trainer.js';
import { recordTrainer } from './support/trainer-record.js';

const number = (name: string, fallback: number): number => Number(process.env[name] ?? fallback);
const SIZE: Size = {
  nodes: number('LUTHIER_BENCH_NODES', 500),
  runs: number('LUTHIER_BENCH_RUNS', 2_000),
  finished: number('LUTHIER_BENCH_FINISHED', 10_000),
  endings: number('LUTHIER_BENCH_ENDINGS', 300),
  ...{ endingsPerSecond: 10, calmMs: 2_000 },
};

let bench: BenchCluster;
beforeAll(async () => {
  const { nodes } = SIZE;
  bench = await BenchCluster.start({ nodes, heartbeatMs: 10_000, kubeApiQps: 1_000, nodeMonitorGraceMs: 60_000 });
}, 1_800_000);
afterAll(() => bench.stop(), 600_000);

it('makes all runs at once; the same requests without a trainer are made before and after', async () => {
  const record = await recordTrainer(bench, SIZE);
  const text = `${JSON.stringify(record, null, 2)}\n`;
  process.stdout.write(text);
  const file = process.env['LUTHIER_BENCH_JSON'];
  if (file !== undefined) await writeFile(file, text);
  expect(record.rounds.map(({ fullRelists }) => fullRelists)).toEqual([0, 0]);
}, 7_200_000);
