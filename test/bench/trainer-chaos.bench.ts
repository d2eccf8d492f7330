import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { writeFile } from 'node:fs/promises';
import { killAtRandom } from '../../services/trainer/src/testing/cluster/random-kills.js';
import { TrainingCluster } from '../../services/trainer/src/testing/cluster/training-cluster.js';

const SEED = Number(process.env['LUTHIER_TEST_SEED'] ?? 1);
const KILLS = Number(process.env['LUTHIER_BENCH_KILLS'] ?? 200);
const RUNS_PER_KILL = 0.6;

let place: TrainingCluster;
beforeAll(async () => {
  place = await TrainingCluster.start();
}, 900_000);
afterAll(() => place.stop(), 60_000);

it('kills trainer and API server at random; nothing is lost or doubled', async () => {
  const note = (message: string): void => void process.stderr.write(`${message}\n`);
  const runs = Math.ceil(KILLS * RUNS_PER_KILL);
  const record = await killAtRandom(place, { seed: SEED, kills: KILLS, runs, note });
  const text = `${JSON.stringify({ bench: 'trainer-chaos', at: new Date().toISOString(), node: process.version, ...record }, null, 2)}\n`;
  process.stdout.write(text);
  const file = process.env['LUTHIER_BENCH_JSON'];
  if (file !== undefined) await writeFile(file, text);
  expect(record).toMatchObject({ endedOtherwise: [], notOnce: [], left: [] });
}, 7_200_000);
