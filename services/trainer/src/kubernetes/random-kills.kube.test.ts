import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { canRunKubernetes } from '@luthier/testing/kube';
import { killAtRandom } from '../testing/cluster/random-kills.js';
import { TrainingCluster } from '../testing/cluster/training-cluster.js';

const SEED = Number(process.env['LUTHIER_TEST_SEED'] ?? 20_261_124);
const inCluster = (await canRunKubernetes()) ? describe : describe.skip;

inCluster('20 kills of trainer and API server at random', () => {
  let place: TrainingCluster;
  beforeAll(async () => {
    place = await TrainingCluster.start();
  }, 900_000);
  afterAll(() => place.stop());

  it('lose nothing and double nothing: every run ends as its pods ended, one Job of it ever ran, nothing is left', async () => {
    const record = await killAtRandom(place, { seed: SEED, kills: 20, runs: 14 });
    expect(record).toMatchObject({ seed: SEED, runs: 14, endedOtherwise: [], notOnce: [], left: [] });
    expect(record.kills.trainer + record.kills.apiServer).toBe(20);
  }, 300_000);
});
