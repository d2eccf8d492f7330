import { describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import { tempDir } from '@luthier/testing';
import { BoundedLog } from './bounded-log.js';

const write = (log: BoundedLog, text: string): Promise<void> => new Promise((done) => log.write(text, () => done()));

describe('BoundedLog', () => {
  it('never holds up or fails the runtime when the file cannot be written', async () => {
    const log = new BoundedLog(join(await tempDir('log'), 'missing', 'log.txt'), 100_000);
    for (let count = 0; count < 100; count += 1) {
      await write(log, 'x'.repeat(60));
      await turnOfTheLoop(); // among them the one in which opening the file fails
    }
    await new Promise<void>((resolve, reject) => {
      log.once('error', reject);
      log.end(resolve);
    });
    expect(log.writableFinished).toBe(true);
  });

  it('keeps the newest lines within two files', async () => {
    const path = join(await tempDir('log'), 'log.txt');
    const log = new BoundedLog(path, 100);
    for (const letter of ['a', 'b', 'c']) await write(log, letter.repeat(60));
    expect(await readFile(path, 'utf8')).toBe('c'.repeat(60));
    expect(await readFile(`${path}.1`, 'utf8')).toBe('b'.repeat(60));
  });
});
