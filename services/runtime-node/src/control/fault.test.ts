import { describe, expect, it } from '@jest/globals';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError, exitOfErrorCode } from '@luthier/contracts';
import { writeFolder } from './folders.js';
import { blaming, faultOf, namingCheckpoint } from './fault.js';

const systemFault = (code: string): Error => Object.assign(new Error(`${code}: write`), { code });

describe('what a fault means', () => {
  it('a full disk is a full disk wherever it happens, and exits 45', async () => {
    expect(faultOf(systemFault('ENOSPC'), 'internal').code).toBe('disk.full');
    await expect(blaming('model.unreadable', () => Promise.reject(systemFault('EDQUOT')))).rejects.toMatchObject({
      code: 'disk.full',
    });
    expect(exitOfErrorCode('disk.full')).toBe(45);
  });

  it('a failed allocation is reported as memory, not as a crash', () => {
    expect(faultOf(new Error('std::bad_alloc'), 'runtime.crashed').code).toBe('device.out-of-memory');
  });

  it('a fault of reading is blamed on what was read, a defect is not', async () => {
    const missing = blaming('data.bad', () => Promise.reject(systemFault('ENOENT')));
    await expect(missing).rejects.toMatchObject({ code: 'data.bad' });
    await expect(blaming('data.bad', () => Promise.reject(new TypeError('x is undefined')))).rejects.not.toBeInstanceOf(
      AppError,
    );
  });
});

describe('a loss that is not finite', () => {
  const diverged = new AppError('training.diverged', 'Step 9: loss NaN.');

  it('names the last checkpoint from before it', () => {
    expect(namingCheckpoint(diverged, { step: 6, dir: 'checkpoints/step-000006' })).toMatchObject({
      code: 'training.diverged',
      message: 'Step 9: loss NaN. The last checkpoint before it is of step 6 (checkpoints/step-000006).',
    });
    expect(namingCheckpoint(diverged, undefined)).toMatchObject({ message: expect.stringContaining('no checkpoint') });
  });

  it('is the only fault that does', () => {
    const full = new AppError('disk.full', 'full');
    expect(namingCheckpoint(full, { step: 6, dir: 'x' })).toBe(full);
  });
});

describe('a folder written as a whole', () => {
  it('keeps the old one and leaves nothing behind when writing fails half-way', async () => {
    const parent = await mkdtemp(join(tmpdir(), 'luthier-folder-'));
    const dir = join(parent, 'step-000003');
    await writeFolder(dir, parent, (temporary) => writeFile(join(temporary, 'a'), 'old'));
    const failing = writeFolder(dir, parent, async (temporary) => {
      await writeFile(join(temporary, 'a'), 'new');
      throw systemFault('ENOSPC');
    });
    await expect(failing).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(await readFile(join(dir, 'a'), 'utf8')).toBe('old');
    expect(existsSync(`${dir}.tmp`)).toBe(false);
    await rm(parent, { recursive: true });
  });
});
