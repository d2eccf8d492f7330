import { expect, it } from '@jest/globals';
import { join } from 'node:path';
import { unwrap } from '@luthier/api-client';
import { removeHome, tempDir } from '@luthier/testing';
import { expectWholeAndSingle, submitJob, waitForEnd } from '../e2e/support/jobs.js';
import { PlatformProcess } from '../e2e/support/platform-process.js';
import { describeWithTorch } from './torch-environment.js';

const TIMEOUT_MS = 300_000;

describeWithTorch('a job at home', () => {
  it(
    'is trained by PyTorch, from an upload to a registered and evaluated model',
    async () => {
      const home = join(await tempDir('torch-e2e'), 'home');
      const platform = await PlatformProcess.start({ home, env: { LUTHIER_LOCAL_RUNTIME: 'torch' } });
      try {
        const { profiles } = await unwrap(platform.client.GET('/api/v1/inventory'));
        expect(profiles.map(({ runtime }) => runtime)).toEqual(['runtime-torch']);
        const { id } = await submitJob(platform.client, { steps: 20, heldOut: true });
        const job = await waitForEnd(platform.client, id, TIMEOUT_MS);
        expect(job).toMatchObject({ status: 'succeeded', phase: 'done', error: null });
        expect(job.result?.last_loss).toBeLessThan(job.result?.first_loss ?? 0);
        expect(job.result?.tuned?.perplexity).toBeGreaterThan(1);
        await expectWholeAndSingle(platform.client, job);
      } finally {
        await platform.stop();
        await removeHome(home);
      }
    },
    2 * TIMEOUT_MS,
  );
});
