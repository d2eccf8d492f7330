import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/** A pid alone may belong to somebody else by now; with its start time it cannot. */
export interface ProcessIdentity {
  pid: number;
  startTime: string;
}

const run = promisify(execFile);

/** Undefined when there is no such living process. The executor compares these texts, so its form is shared with it. */
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
