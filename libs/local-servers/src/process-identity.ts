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
    const startTicks = startTicksOf(await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ''));
    if (startTicks === undefined) return undefined;
    const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
    return { pid, startTime: `${bootId.trim()}:${startTicks}` };
  }
  const listed = await run('ps', ['-o', 'lstart=', '-p', String(pid)], { timeout: 5_000 }).catch(() => undefined);
  const startTime = listed?.stdout.trim();
  return startTime ? { pid, startTime } : undefined;
}

/**
 * When the process of this line of `/proc/<pid>/stat` began, in ticks since the machine did; undefined when it is gone.
 * Its first thread may have ended before the others: it is a zombie then, and they still hold files and ports.
 * proc_pid_stat(5): 3 state, 20 num_threads, 22 starttime.
 */
export function startTicksOf(stat: string): string | undefined {
  // The name in parentheses, field 2, may contain anything; the others are counted from its end.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, threads] = [fields[0], Number(fields[17])];
  if (state === 'X' || (state === 'Z' && threads <= 1)) return undefined;
  return fields[19];
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
