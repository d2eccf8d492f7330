import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { freePort, guardServer, identityOf } from '@luthier/local-servers';
import type { LocalServer } from './supervised-server.js';

/** For what hangs: a busy laptop takes its time. */
const READY_TIMEOUT_MS = 120_000;
/** A port that was free may be somebody else's when the server takes it. */
const STARTS = 3;
const STOP_GRACE_MS = 5_000;

export interface WebServerOptions {
  /** `server.js` of Next's standalone output. */
  entry: string;
  port: number;
  logFile: string;
  /** PATH of the child; nothing else of our environment reaches it. */
  path: string;
}

export const webIsBuilt = (entry: string): boolean => existsSync(entry);

/** The dashboard's own process: a Next server on loopback, reached through the gateway only. */
export async function startWebServer(options: WebServerOptions): Promise<LocalServer> {
  for (let start = 1; start <= STARTS; start += 1) {
    const server = await startOnce(options);
    if (server) return server;
  }
  throw new Error(`the dashboard server did not answer; see ${options.logFile}`);
}

/** @returns undefined when the server ended by itself before it answered */
async function startOnce(options: WebServerOptions): Promise<LocalServer | undefined> {
  const port = await freePort(options.port);
  const log = await open(options.logFile, 'a', 0o600);
  const child = spawn(process.execPath, ['--max-old-space-size=192', options.entry], {
    stdio: ['ignore', log.fd, log.fd],
    detached: true, // Ctrl-C in a terminal reaches only us; we end it in order
    env: {
      PATH: options.path,
      NODE_ENV: 'production',
      NEXT_TELEMETRY_DISABLED: '1',
      PORT: String(port),
      HOSTNAME: '127.0.0.1',
    },
  });
  await log.close();
  child.on('error', () => undefined); // without a pid it was never started, and that is said below
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const end = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
    await exited;
    clearTimeout(timer);
  };
  const { pid } = child;
  if (pid === undefined) throw new Error(`the dashboard server could not be started; see ${options.logFile}`);
  const identity = await identityOf(pid);
  if (!identity) {
    await end(); // does nothing to one that ended before anybody looked; another one could not be guarded
    return undefined;
  }
  // It keeps nothing: should we be killed, it ends with us, and the next start begins a new one.
  const watchdog = guardServer(identity, 'TERM', []);
  void exited.then(() => watchdog.dismiss());
  if (!(await answers(port, child))) {
    if (child.exitCode !== null || child.signalCode !== null) return undefined;
    await end();
    throw new Error(`the dashboard server did not answer; see ${options.logFile}`);
  }
  return { pid, port, stop: end };
}

async function answers(
  port: number,
  child: { exitCode: number | null; signalCode: NodeJS.Signals | null },
): Promise<boolean> {
  const deadline = Date.now() + READY_TIMEOUT_MS;
  while (Date.now() < deadline && child.exitCode === null && child.signalCode === null) {
    const reply = await fetch(`http://127.0.0.1:${port}/`, {
      redirect: 'manual',
      signal: AbortSignal.timeout(5_000),
    }).catch(() => undefined);
    if (reply && reply.status < 500) return true;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return false;
}
