import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { spawnServer, tailOf } from './child-server.js';
import type { ChildCommand, ChildServer } from './child-server.js';
import { withFileLock } from './file-lock.js';
import { freePort } from './free-port.js';
import { endProcess, identityOf, isAlive } from './process-identity.js';
import type { ProcessIdentity } from './process-identity.js';
import { readRecord, writeRecord } from './server-record.js';
import type { ServerRecord } from './server-record.js';
import { guardServer } from './watchdog.js';
import type { Watchdog } from './watchdog.js';

/** What the servers differ in. */
export interface ServerKind {
  name: string;
  dir: string;
  wantedPort: number;
  /** Anything that makes a running orphan unusable when it differs. */
  settings: unknown;
  stopSignal: 'SIGINT' | 'SIGTERM' | 'SIGQUIT' | 'SIGKILL';
  stopGraceMs: number;
  readyTimeoutMs: number;
  endWithParent: boolean;
  /** Removed with the server (also by the watchdog). */
  removeDirs: readonly string[];
  log: (message: string) => void;
  command(port: number): Promise<ChildCommand>;
  /** Resolves to false as long as the server does not answer. */
  isReady(port: number): Promise<boolean>;
}

export interface ServerProcess {
  readonly port: number;
  readonly pid: number;
  readonly identity: ProcessIdentity;
  /** True when an orphan of an earlier process was taken over as it ran. */
  readonly takenOver: boolean;
  stop(): Promise<void>;
}

const ATTEMPTS = 5;
const PASSING_FAULTS = new RegExp(
  [
    'address already in use',
    String.raw`is not available on \S+ and cannot be used`, // SeaweedFS, of the port of a part
    'pre-existing shared memory block',
    'lock file "postmaster.pid"',
  ].join('|'),
  'i',
);

/**
 * Starts a server in its folder. What an earlier process left running there is used if it answers and was started with
 * the same settings, otherwise ended first: there are never two servers on one folder.
 * @throws Error when the process that started it is still alive, or the server does not get ready (with its log).
 */
export async function runServer(kind: ServerKind): Promise<ServerProcess> {
  await mkdir(kind.dir, { recursive: true });
  return withFileLock(join(kind.dir, 'start.lock'), 60_000, async () => {
    const owner = await identityOf(process.pid);
    if (!owner) throw new Error('this process cannot be found in the process table');
    const settingsHash = createHash('sha256').update(JSON.stringify(kind.settings)).digest('hex');
    const record = await readRecord(kind.dir);
    if (record && (await takeOver(kind, record, settingsHash))) {
      await writeRecord(kind.dir, { ...record, owner });
      return handle(kind, record.server, record.port);
    }
    return launch(kind, record?.port ?? kind.wantedPort, { owner, settingsHash });
  });
}

/** Whether the server of `record` runs on under us. Afterwards either it does, or it has ended. */
async function takeOver(kind: ServerKind, record: ServerRecord, settingsHash: string): Promise<boolean> {
  if (!(await isAlive(record.server))) return false;
  if (await isAlive(record.owner)) {
    throw new Error(`"${kind.dir}" is in use: process ${record.owner.pid} runs ${kind.name} there`);
  }
  const samePort = kind.wantedPort === 0 || kind.wantedPort === record.port;
  if (samePort && record.settingsHash === settingsHash && (await kind.isReady(record.port))) {
    kind.log(`${kind.name} of an earlier process still runs (pid ${record.server.pid}): taken over`);
    return true;
  }
  kind.log(`${kind.name} of an earlier process still runs (pid ${record.server.pid}): ended first`);
  await endProcess(record.server, kind.stopSignal, kind.stopGraceMs);
  return false;
}

async function launch(
  kind: ServerKind,
  lastPort: number,
  record: Pick<ServerRecord, 'owner' | 'settingsHash'>,
): Promise<ServerProcess> {
  const wanted = kind.wantedPort === 0 ? lastPort : kind.wantedPort;
  for (let attempt = 1; ; attempt++) {
    const port = await freePort(attempt === 1 ? wanted : 0);
    if (wanted !== 0 && port !== wanted) kind.log(`port ${wanted} is in use: ${kind.name} takes ${port}`);
    const command = await kind.command(port);
    const server = await spawnServer(command);
    // Recorded and guarded before it is ready: we may be killed while we wait.
    await writeRecord(kind.dir, { server: server.identity, port, ...record });
    const running = handle(kind, server.identity, port, server.ended);
    const failure = await waitUntilReady(kind, server, port);
    if (failure === undefined) return running;
    const output = await tailOf(command.logFile);
    // Somebody may have taken the port between our look and the server's: then another one is tried.
    // Postgres' children need a moment to notice that their parent was killed.
    if (failure === 'ended' && attempt < ATTEMPTS && PASSING_FAULTS.test(output)) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      continue;
    }
    await endProcess(server.identity, kind.stopSignal, kind.stopGraceMs);
    if (failure instanceof Error) throw failure;
    throw new Error(`${kind.name} ${failure} (port ${port}):\n${output}`);
  }
}

/** Undefined when it answers, else what is wrong with it. */
async function waitUntilReady(
  kind: ServerKind,
  server: ChildServer,
  port: number,
): Promise<'ended' | 'is not ready' | Error | undefined> {
  const deadline = Date.now() + kind.readyTimeoutMs;
  while (!server.hasExited() && Date.now() < deadline) {
    try {
      if (await kind.isReady(port)) return undefined;
    } catch (cause) {
      return cause instanceof Error ? cause : new Error(String(cause));
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return server.hasExited() ? 'ended' : 'is not ready';
}

/** Without `ended` the server was taken over. */
function handle(kind: ServerKind, server: ProcessIdentity, port: number, ended?: Promise<void>): ServerProcess {
  let watchdog: Watchdog | undefined;
  if (kind.endWithParent) {
    watchdog = guardServer(server, kind.stopSignal.slice(3) as 'INT' | 'TERM' | 'QUIT' | 'KILL', kind.removeDirs);
  }
  void ended?.then(() => watchdog?.dismiss());
  return {
    port,
    pid: server.pid,
    identity: server,
    takenOver: ended === undefined,
    stop: async () => {
      await endProcess(server, kind.stopSignal, kind.stopGraceMs);
      watchdog?.dismiss();
      for (const dir of kind.removeDirs) await rm(dir, { recursive: true, force: true });
    },
  };
}
