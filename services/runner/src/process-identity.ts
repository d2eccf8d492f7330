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
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The name in parentheses may contain anything; fields are counted from its end.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startTicks = fields[19];
  if (startTicks === undefined || fields[0] === 'Z' || fields[0] === 'X') return undefined;
  const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
  return { pid, startTime: `${bootId.trim()}:${startTicks}` };
}
