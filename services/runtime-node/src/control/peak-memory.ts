import { readFileSync } from 'node:fs';

/**
 * The most memory that this process has had at once, in MiB. `maxRSS` begins with what the process that forked it held:
 * Linux takes it along through exec. The process's own peak is VmHWM (proc_pid_status(5)); where that is not told, maxRSS it is.
 */
export function peakMemoryMib(): number {
  return (ownPeakKib() ?? process.resourceUsage().maxRSS) / 1024;
}

function ownPeakKib(): number | undefined {
  try {
    const [, kib] = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    return kib === undefined ? undefined : Number(kib);
  } catch {
    return undefined; // not Linux
  }
}
