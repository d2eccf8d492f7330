import { spawn } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import { identityOf } from './process-identity.js';
import type { ProcessIdentity } from './process-identity.js';

export interface ChildCommand {
  file: string;
  args: readonly string[];
  cwd: string;
  env?: Readonly<Record<string, string>>;
  /** Both outputs are appended here. */
  logFile: string;
  uid?: number;
  gid?: number;
}

export interface ChildServer {
  identity: ProcessIdentity;
  /** True once it has ended, whoever ended it. */
  hasExited(): boolean;
  /** Resolves when it has ended. */
  ended: Promise<void>;
}

/** The start time of a process that had ended before anybody looked: none that lives has it. */
const ENDED_UNSEEN = 'ended';

/**
 * Starts a server in its own session (Ctrl-C in a terminal reaches only us; we end it in order), with its output in a
 * file. A failure to start rejects; nothing it does later can raise an unhandled 'error'.
 */
export async function spawnServer(command: ChildCommand): Promise<ChildServer> {
  const log = await open(command.logFile, 'a', 0o644);
  try {
    const child = spawn(command.file, command.args, {
      cwd: command.cwd,
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC', ...command.env },
      stdio: ['ignore', log.fd, log.fd],
      detached: true,
      ...(command.uid !== undefined && { uid: command.uid }),
      ...(command.gid !== undefined && { gid: command.gid }),
    });
    let exited = false;
    const ended = new Promise<void>((resolve) => {
      child.once('exit', () => {
        exited = true;
        resolve();
      });
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    child.on('error', () => undefined);
    const { pid } = child;
    if (pid === undefined) throw new Error(`${command.file} has no pid`);
    let identity = await identityOf(pid);
    if (!identity) {
      child.kill('SIGKILL'); // does nothing to one that ended; another one could never be ended later
      await ended;
      identity = { pid, startTime: ENDED_UNSEEN };
    }
    child.unref();
    return { identity, hasExited: () => exited, ended };
  } finally {
    await log.close();
  }
}

/** The last 2000 characters of a log, for error messages. */
export async function tailOf(path: string): Promise<string> {
  return (await readFile(path, 'utf8').catch(() => '')).slice(-2_000);
}
