import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/** A process and when it began: a pid alone may belong to somebody else by now. */
export interface ProcessIdentity {
  pid: number;
  startTime: string;
}

const run = promisify(execFile);

/** The identity of a living process, undefined when there is none (or only its zombie). */
export async function identityOf(pid: number): Promise<ProcessIdentity | undefined> {
  if (process.platform === 'linux') {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
    if (stat === undefined) return undefined;
    // The name in parentheses may contain anything; the fields are counted from its end.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state] = fields;
    const startTicks = fields[19];
    if (state === 'Z' || state === 'X' || startTicks === undefined) return undefined;
    const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
    return { pid, startTime: `${bootId.trim()}:${startTicks}` };
  }
  const listed = await run('ps', ['-o', 'lstart=', '-p', String(pid)], { timeout: 5_000 }).catch(() => undefined);
  const startTime = listed?.stdout.trim();
  return startTime ? { pid, startTime } : undefined;
}

export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  return (await identityOf(identity.pid))?.startTime === identity.startTime;
}

/** Sends `signal`, waits, then SIGKILL. Returns when the process is gone; never touches one with another start time. */
export async function endProcess(identity: ProcessIdentity, signal: NodeJS.Signals, graceMs: number): Promise<void> {
  const deadline = Date.now() + graceMs;
  let sent = false;
  let killed = false;
  while (await isAlive(identity)) {
    if (!sent) sent = sendSignal(identity.pid, signal);
    else if (!killed && Date.now() > deadline) killed = sendSignal(identity.pid, 'SIGKILL');
    else if (killed && Date.now() > deadline + 10_000) throw new Error(`process ${identity.pid} cannot be ended`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function sendSignal(pid: number, signal: NodeJS.Signals): true {
  try {
    process.kill(pid, signal);
  } catch {
    // gone in between, or not ours: the loop that asked sees which
  }
  return true;
}
