import { describe, expect, it } from '@jest/globals';
import { chmod, mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SERVICES } from '@luthier/contracts';
import { tempDir } from '@luthier/testing';
import { openHome } from './home.js';

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

describe('the home folder', () => {
  it('is made for its owner only, with a secret for every service', async () => {
    const dir = join(await tempDir('home'), 'new', '.luthier');
    const home = await openHome(dir);
    expect(await modeOf(dir)).toBe(0o700);
    expect(await modeOf(join(dir, 'secrets.json'))).toBe(0o600);
    expect(Object.keys(home.secrets.nats).sort()).toEqual([...SERVICES, 'admin'].sort());
    expect(new Set(Object.values(home.secrets.nats)).size).toBe(SERVICES.length + 1);
  });

  it('ends with one secrets file that all share, however many first starts there are at once', async () => {
    const dir = join(await tempDir('home'), 'contested');
    const homes = await Promise.all(Array.from({ length: 8 }, () => openHome(dir)));
    const kept = JSON.parse(await readFile(join(dir, 'secrets.json'), 'utf8')) as unknown;
    for (const { secrets } of homes) expect(secrets).toEqual(kept);
    expect((await readdir(dir)).filter((name) => name.startsWith('secrets'))).toEqual(['secrets.json']);
    expect((await openHome(dir)).secrets).toEqual(kept);
  });

  it('is closed to the eyes of others when it was there before; passing through stays as it was', async () => {
    const dir = join(await tempDir('home'), 'open');
    await mkdir(dir);
    await chmod(dir, 0o755);
    await openHome(dir);
    expect(await modeOf(dir)).toBe(0o711);
  });

  it('refuses secrets that cannot be read instead of making new ones', async () => {
    const dir = await tempDir('home');
    await writeFile(join(dir, 'secrets.json'), '{"nats": 1}');
    await expect(openHome(dir)).rejects.toThrow();
    expect(await readFile(join(dir, 'secrets.json'), 'utf8')).toBe('{"nats": 1}');
  });
});
