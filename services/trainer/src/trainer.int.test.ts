import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { RunningService } from '@luthier/service-kit';
import { TrainerHarness } from './testing/harness.js';

describe('a run from spec to outcome', () => {
  let harness: TrainerHarness;
  let trainer: RunningService;
  beforeAll(async () => {
    harness = await TrainerHarness.start();
    trainer = await harness.startTrainer();
  });
  afterAll(async () => {
    await trainer.stop();
    await harness.stop();
  });

  it('ends succeeded with result, artifact, checkpoint and every line on the run stream in order', async () => {
    const spec = await harness.makeSpec();
    await harness.runs.put('spec', spec);
    const status = await harness.waitForEnd(spec.runId);
    expect(status).toMatchObject({ reason: 'succeeded', incarnation: 1, outcome: { step: 4 } });
    expect(status.outcome?.code).toBeUndefined();
  });
});
