import { expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeHome, tempDir, waitFor } from '@luthier/testing';
import { submitJob, waitForEnd } from './support/jobs.js';
import { PlatformProcess } from './support/platform-process.js';
import { requirement } from './support/requirement.js';

const run = (program: string, ...args: string[]): boolean => spawnSync(program, args).status === 0;
const mountSmall = (folder: string): boolean => run('mount', '-t', 'tmpfs', '-o', 'size=4m', 'luthier-e2e', folder);

it('a full disk under the run folders ends the job with disk.full and what to do; the platform stays up', async () => {
  const home = join(await tempDir('e2e-disk'), 'home');
  const runs = join(home, 'work', 'trainer', 'runs');
  await mkdir(runs, { recursive: true, mode: 0o700 });
  if (!requirement(mountSmall(runs), 'a full disk (mounting a tmpfs is not permitted here)')) return;
  try {
    const platform = await PlatformProcess.start({ home });
    try {
      // A checkpoint of this rank is larger than the disk.
      const { id } = await submitJob(platform.client, { steps: 60, rank: 64 });
      const job = await waitForEnd(platform.client, id);
      expect(job).toMatchObject({ status: 'failed', error: { code: 'disk.full' } });
      expect(job.error?.hint).toBeTruthy();
      expect(job.message).toBe(job.error?.message);

      const next = await submitJob(platform.client, { steps: 10 });
      expect(await waitForEnd(platform.client, next.id)).toMatchObject({ status: 'succeeded' });
    } finally {
      await platform.stop();
    }
  } finally {
    await waitFor(() => run('umount', runs), { intervalMs: 200, what: 'the unmounting' });
    await removeHome(home);
  }
});
