import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { breakLock, withFileLock } from './file-lock.js';

/** No process has it: Linux numbers them up to 2^22. */
const dead = (token: string): { pid: number; startTime: string; token: string } => ({
  pid: 2 ** 22 + 1,
  startTime: 'never',
  token,
});

let dir: string;
let path: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'luthier-lock-'));
  path = join(dir, 'x.lock');
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe('the lock of a dead process', () => {
  it('is taken over, and nothing of it is left', async () => {
    await writeFile(path, JSON.stringify(dead('one')));
    expect(await withFileLock(path, 120_000, () => Promise.resolve('done'))).toBe('done');
    expect(await readdir(dir)).toEqual([]);
  });

  it('is taken over also when a process died that was about to', async () => {
    await writeFile(path, JSON.stringify(dead('one')));
    await writeFile(`${path}.breaking-one`, JSON.stringify(dead('two')));
    expect(await withFileLock(path, 120_000, () => Promise.resolve('done'))).toBe('done');
    expect(await readdir(dir)).toEqual([]);
  });

  it('is left alone while a living process breaks it', async () => {
    await writeFile(path, JSON.stringify(dead('one')));
    await withFileLock(`${path}.breaking-one`, 120_000, () => breakLock(path, dead('one')));
    expect(await readdir(dir)).toEqual(['x.lock']);
  });

  it('lets one in at a time, however many saw the dead one', async () => {
    let inside = 0;
    let most = 0;
    for (let round = 0; round < 20; round += 1) {
      await writeFile(path, JSON.stringify(dead(`token-${round}`)));
      const enter = (): Promise<void> =>
        withFileLock(path, 120_000, async () => {
          most = Math.max(most, (inside += 1));
          await new Promise(setImmediate);
          inside -= 1;
        });
      await Promise.all([enter(), enter(), enter(), enter()]);
    }
    expect(most).toBe(1);
  });
});

it('who comes late to break the lock of a dead process never touches that of the next holder', async () => {
  await withFileLock(path, 120_000, async () => {
    const before = await stat(path, { bigint: true });
    for (let late = 0; late < 20; late += 1) await breakLock(path, dead(`token-${late}`));
    const after = await stat(path, { bigint: true });
    expect([after.ino, after.ctimeNs]).toEqual([before.ino, before.ctimeNs]); // a move changes the time
  });
});
