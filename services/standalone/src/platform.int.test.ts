import { afterEach, describe, expect, it } from '@jest/globals';
import { createServer } from 'node:net';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { removeHome, tempDir, waitFor } from '@luthier/testing';
import { startPlatform } from './index.js';
import type { Platform } from './index.js';

let platform: Platform | undefined;
const homes: string[] = [];
afterEach(async () => {
  await platform?.stop();
  platform = undefined;
  for (const home of homes.splice(0)) await removeHome(home);
});

async function newHome(): Promise<string> {
  const home = join(await tempDir('platform'), 'home');
  homes.push(home);
  return home;
}

const answers = (url: string): Promise<boolean> =>
  fetch(`${url}/healthz`).then(
    (reply) => reply.ok,
    () => false,
  );

describe('the platform in one process', () => {
  it('that is asked to end while it starts stops what it has started, and says why', async () => {
    const home = await newHome();
    const asked = new AbortController();
    const said: string[] = [];
    const started = startPlatform({
      home,
      port: 0,
      logLevel: 'error',
      signal: asked.signal,
      stage: async (name, _title, work) => {
        if (name === 'platform') setTimeout(() => asked.abort(new Error('asked to end')), 200);
        said.push(await work());
      },
    });
    await expect(started).rejects.toThrow('asked to end');
    expect(said).toHaveLength(1);
    const pidFile = await readFile(join(home, 'postgres', 'data', 'postmaster.pid'), 'utf8').catch(() => undefined);
    expect(pidFile).toBeUndefined();
  });

  it('starts in an empty home beside a taken port, says so, survives a second stop, and starts again there', async () => {
    const home = await newHome();
    const taken = createServer();
    const host = '127.0.0.2'; // a port is free or taken at its own address only
    await new Promise<void>((resolve) => taken.listen(0, host, resolve));
    const address = taken.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const said: string[] = [];
    platform = await startPlatform({ home, host, port, logLevel: 'error', say: (line) => said.push(line) }).finally(
      () => taken.close(),
    );
    expect(said).toContainEqual(expect.stringContaining(`port ${port} is in use`));
    expect(await answers(platform.url)).toBe(true);
    const key = await readFile(platform.apiKeyFile, 'utf8');
    expect((await stat(platform.apiKeyFile)).mode & 0o077).toBe(0);
    await Promise.all([platform.stop(), platform.stop()]);
    expect(await answers(platform.url)).toBe(false);

    platform = await startPlatform({ home, port: 0, logLevel: 'error' });
    const models = await waitFor(async () => {
      const reply = await fetch(`${platform?.url ?? ''}/v1/models`, {
        headers: { authorization: `Bearer ${key.trim()}` },
      });
      return reply.ok ? reply : undefined;
    });
    expect(await models.json()).toMatchObject({ object: 'list' });
  });
});
