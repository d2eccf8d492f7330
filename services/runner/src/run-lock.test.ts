import { describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { tempDir } from '@luthier/testing';
import { takeRunLock } from './run-lock.js';

describe('takeRunLock', () => {
  it('stays held by a child that inherited the descriptor until that child is gone too', async () => {
    const path = join(await tempDir('lock'), 'lock');
    const mine = await takeRunLock(path, 0);
    const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], {
      stdio: ['pipe', 'ignore', 'ignore', mine?.fd],
    });
    await once(child, 'spawn');
    expect(await takeRunLock(path, 0)).toBeUndefined();
    await mine?.close();
    expect(await takeRunLock(path, 0)).toBeUndefined();
    child.kill('SIGKILL');
    await once(child, 'exit');
    const next = await takeRunLock(path, 2_000);
    expect(next).toBeDefined();
    await next?.close();
  });
});
