import { expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { tempDir, removeHome } from '@luthier/testing';

const SCRIPT = join(import.meta.dirname, '../../scripts/check-gpu.sh');

it('without a GPU says so, checks nothing and ends with 2', async () => {
  // A folder with bash's own tools and no nvidia-smi, whatever this machine has.
  const tools = await tempDir('no-gpu');
  try {
    const { status, stdout, stderr } = spawnSync('/bin/bash', [SCRIPT], {
      env: { PATH: tools },
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('nothing was checked');
  } finally {
    await removeHome(tools);
  }
});
