import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { BenchCluster } from './support/bench-cluster.js';
import { measureTrainer } from './support/measure-trainer.js';
import type { Size } from './support/measure-trainer.js';

const number = (name: string, fallback: number): number => Number(process.env[name] ?? fallback);
const SIZE: Size = {
  nodes: number('LUTHIER_BENCH_NODES', 500),
  runs: number('LUTHIER_BENCH_RUNS', 2_000),
  finished: number('LUTHIER_BENCH_FINISHED', 10_000),
  endings: number('LUTHIER_BENCH_ENDINGS', 300),
  endingsPerSecond: 10,
};

let bench: BenchCluster;
beforeAll(async () => {
  bench = await BenchCluster.start(SIZE.nodes);
}, 1_800_000);
afterAll(() => bench.stop(), 600_000);

it('makes all runs at once; the same requests without a trainer are made before and after', async () => {
  const before = await bench.bareSeconds(SIZE.runs);
  const empty = await measureTrainer(bench, SIZE, 0);
  await bench.putFinished(SIZE.finished);
  const full = await measureTrainer(bench, SIZE, SIZE.finished);
  const after = await bench.bareSeconds(SIZE.runs);
  const bareSeconds = (before + after) / 2;
  const record = {
    ...{ bench: 'trainer', at: new Date().toISOString(), node: process.version, cores: cpus().length, size: SIZE },
    ratioToBareClient: bareSeconds / empty.seconds,
    ratioWithFinishedRuns: bareSeconds / full.seconds,
    eventToStatusP99Ms: empty.eventToStatusP99Ms,
    bareSeconds: [before, after],
    rounds: [empty, full],
  };
  const text = `${JSON.stringify(record, null, 2)}\n`;
  process.stdout.write(text);
  const file = process.env['LUTHIER_BENCH_JSON'];
  if (file !== undefined) await writeFile(file, text);
  expect(empty.fullRelists + full.fullRelists).toBe(0);
}, 7_200_000);
