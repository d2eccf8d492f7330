import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signInLine } from './sign-in-line.js';

describe('the line that says how to sign in', () => {
  let dir: string;
  beforeAll(async () => void (dir = await mkdtemp(join(tmpdir(), 'luthier-key-'))));
  afterAll(() => rm(dir, { recursive: true, force: true }));

  it('shows the key on a terminal, and nowhere else', async () => {
    const file = join(dir, 'api-key');
    await writeFile(file, 'lk-secret\n');
    expect(await signInLine(file, { isTTY: true })).toBe(`sign in with the key lk-secret (kept in ${file})`);
    for (const out of [{ isTTY: false }, {}])
      expect(await signInLine(file, out)).toBe(`sign in with the key in ${file}`);
  });
});
