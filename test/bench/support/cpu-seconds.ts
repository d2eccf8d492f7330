import { readFile } from 'node:fs/promises';

/** CPU seconds that programs have used, or used between two readings, by name. */
export type CpuSeconds = Readonly<Record<string, number>>;

/** What the kernel counts in, on every Linux: 1/100 s (`man 5 proc_pid_stat`). */
const TICKS_PER_SECOND = 100;
/** Places of utime and stime after the name, which may itself hold blanks and brackets. */
const [USER, SYSTEM] = [11, 12];

/** Of each of these programs since it started. A program that has ended counts nothing. */
export async function readCpuSeconds(pids: Readonly<Record<string, number | undefined>>): Promise<CpuSeconds> {
  const entries = Object.entries(pids).map(async ([name, pid]): Promise<[string, number]> => {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return [name, (Number(fields[USER] ?? 0) + Number(fields[SYSTEM] ?? 0)) / TICKS_PER_SECOND];
  });
  return Object.fromEntries(await Promise.all(entries));
}

export const between = (before: CpuSeconds, after: CpuSeconds): CpuSeconds =>
  Object.fromEntries(
    Object.entries(after).map(([name, seconds]) => [name, Math.round((seconds - (before[name] ?? 0)) * 100) / 100]),
  );
