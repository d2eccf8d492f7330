import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { z } from 'zod';

/** A pid alone may belong to somebody else by now; with its start time it cannot. Runners write the same form. */
export const processIdentity = z.object({ pid: z.int().positive(), startTime: z.string().min(1) });
export type ProcessIdentity = z.output<typeof processIdentity>;

const run = promisify(execFile);

/** Undefined when there is no such living process (a zombie does not live). */
export async function identityOf(pid: number): Promise<ProcessIdentity | undefined> {
  if (process.platform !== 'linux') {
    const listed = await run('ps', ['-o', 'lstart=', '-p', String(pid)], { timeout: 5_000 }).catch(() => undefined);
    const startTime = listed?.stdout.trim();
    return startTime ? { pid, startTime } : undefined;
  }
  const startTicks = startTicksOf(await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ''));
  if (startTicks === undefined) return undefined;
  const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
  return { pid, startTime: `${bootId.trim()}:${startTicks}` };
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

async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  return (await identityOf(identity.pid))?.startTime === identity.startTime;
}

/**
 * SIGKILL for a recorded process and, when it leads one, its group. A pid that somebody else has by now is left alone.
 * @throws Error when it is still there after 10 s.
 */
export async function killRecorded(identity: ProcessIdentity): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (await isAlive(identity)) {
    signal(-identity.pid);
    signal(identity.pid);
    if (Date.now() > deadline) throw new Error(`process ${identity.pid} cannot be ended`);
    await sleep(10);
  }
}

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // gone, or no group of that number: the caller looks whether anything lives
  }
}
