import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
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
  child: ChildProcess;
}

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
    child.on('exit', () => (exited = true));
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    child.on('error', () => undefined);
    child.unref();
    const identity = child.pid === undefined ? undefined : await identityOf(child.pid);
    if (!identity) throw new Error(`${command.file} ended at once:\n${await tailOf(command.logFile)}`);
    return { identity, hasExited: () => exited, child };
  } finally {
    await log.close();
  }
}

/** The last 2000 characters of a log, for error messages. */
export async function tailOf(path: string): Promise<string> {
  return (await readFile(path, 'utf8').catch(() => '')).slice(-2_000);
}
