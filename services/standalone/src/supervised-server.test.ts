import { afterEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { freePort } from '@luthier/local-servers';
import { steadyPort, waitFor } from '@luthier/testing';
import { SupervisedServer } from './supervised-server.js';
import type { LocalServer } from './supervised-server.js';

const SCRIPT =
  "const s = require('node:http').createServer((q, r) => r.end(String(process.pid)));" +
  "s.listen(Number(process.argv[1]), '127.0.0.1', () => console.log('ready'));";
const lines: string[] = [];
let starts = 0;

/** A server as a process of its own. */
async function startServer(wanted: number): Promise<LocalServer> {
  starts += 1;
  const port = await freePort(wanted === 0 ? await steadyPort() : wanted);
  const child = spawn(process.execPath, ['-e', SCRIPT, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const exited = once(child, 'exit');
  return {
    pid: child.pid ?? 0,
    port,
    stop: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
let supervised: SupervisedServer<LocalServer> | undefined;
const supervise = async (start = startServer): Promise<SupervisedServer<LocalServer>> =>
  (supervised = await SupervisedServer.start('server', start, (line) => lines.push(line)));
const askPid = async (port: number): Promise<number> => Number(await (await fetch(`http://127.0.0.1:${port}`)).text());
const isGone = (port: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${port}`).then(
    () => false,
    () => true,
  );

afterEach(async () => {
  await supervised?.stop();
  supervised = undefined;
  lines.length = 0;
  starts = 0;
});

describe('a supervised server', () => {
  it('that was killed is started again on the same port, as often as it takes', async () => {
    const server = await supervise();
    const { port } = server.current;
    for (let round = 0; round < 2; round += 1) {
      const { pid } = server.current;
      process.kill(pid, 'SIGKILL');
      await waitFor(async () => server.current.pid !== pid && (await askPid(port)) === server.current.pid);
      expect(server.current.port).toBe(port);
    }
    expect(starts).toBe(3);
    expect(lines.filter((line) => line.includes('runs again'))).toHaveLength(2);
  });

  it('is tried again when it does not start, and never left on another port', async () => {
    let faults = 0;
    const server = await supervise(async (port) => {
      if (starts === 0) return startServer(port);
      faults += 1;
      if (faults === 1) throw new Error('not now');
      return startServer(faults === 2 ? 0 : port);
    });
    const { port, pid } = server.current;
    process.kill(pid, 'SIGKILL');
    await waitFor(() => server.current.pid !== pid);
    expect(server.current.port).toBe(port);
    expect(lines.join('\n')).toMatch(/not now[^]*taken by another program[^]*runs again/);
  });

  it('stays ended after a stop, also one in the middle of a restart; a second stop is fine', async () => {
    const server = await supervise();
    const { port, pid } = server.current;
    process.kill(pid, 'SIGKILL');
    await waitFor(() => lines.some((line) => line.includes('ended unasked')));
    await Promise.all([server.stop(), server.stop()]);
    expect(await isGone(port)).toBe(true);
    const quiet = await supervise();
    await quiet.stop();
    expect(await isGone(quiet.current.port)).toBe(true);
    expect(lines.filter((line) => line.includes(String(quiet.current.pid)))).toEqual([]);
  });
});
