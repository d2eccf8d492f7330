import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { runServer } from './run-server.js';
import type { ServerProcess } from './run-server.js';

let dir: string;
beforeEach(async () => void (dir = await mkdtemp(join(tmpdir(), 'luthier-run-'))));
afterEach(() => rm(dir, { recursive: true, force: true }));

const SERVER = "require('node:http').createServer((q, r) => r.end('it')).listen(Number(process.argv[1]), '127.0.0.1');";

/** Starts a server that says `fault` and ends at its first start. */
async function startWithFault(fault: string): Promise<{ server: ServerProcess; starts: number }> {
  let starts = 0;
  const server = await runServer({
    name: 'a server',
    dir,
    wantedPort: 0,
    settings: [],
    stopSignal: 'SIGTERM',
    stopGraceMs: 30_000,
    readyTimeoutMs: 60_000,
    endWithParent: true,
    removeDirs: [],
    log: () => undefined,
    command: (port) => {
      starts += 1;
      const program =
        starts === 1
          ? { file: '/bin/sh', args: ['-c', 'echo "$0"; exit 1', fault] }
          : { file: process.execPath, args: ['-e', SERVER, String(port)] };
      return Promise.resolve({ ...program, cwd: dir, logFile: join(dir, `server.${starts}.log`) });
    },
    isReady: (port) =>
      fetch(`http://127.0.0.1:${port}`).then(
        ({ ok }) => ok,
        () => false,
      ),
  });
  return { server, starts };
}

describe('a server that ends at its start', () => {
  it.each([
    'listen EADDRINUSE: address already in use 127.0.0.1:4222',
    'Port allocation failed: port 23457 for Filer (specified by flag filer.port) is not available on 127.0.0.1 and cannot be used',
  ])('is started again when somebody was faster at one of its ports: %s', async (fault) => {
    const { server, starts } = await startWithFault(fault);
    expect(starts).toBe(2);
    expect(await (await fetch(`http://127.0.0.1:${server.port}`)).text()).toBe('it');
    await server.stop();
  });

  it('is started again also when it had ended before anybody looked', async () => {
    let going = true;
    const beLate = (): void => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
      if (going) setImmediate(beLate);
    };
    setImmediate(beLate);
    const { server, starts } = await startWithFault('address already in use').finally(() => (going = false));
    expect(starts).toBe(2);
    await server.stop();
  });

  it('is told with its own words when another start would not help', async () => {
    await expect(startWithFault('no such option')).rejects.toThrow(/a server ended .*no such option/s);
    expect(await readFile(join(dir, 'server.1.log'), 'utf8')).toContain('no such option');
  });
});
