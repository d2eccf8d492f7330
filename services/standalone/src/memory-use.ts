import { readFile, readdir } from 'node:fs/promises';

const KIB_PER_MIB = 1024;

/**
 * Sum of the proportional set sizes (PSS: private pages plus a share of shared ones) of this process and everything
 * below it, in MiB; source: /proc/<pid>/smaps_rollup (Linux). Undefined where the kernel does not offer it.
 */
export async function processTreePssMib(rootPid = process.pid): Promise<number | undefined> {
  const parents = await parentOf();
  if (!parents || (await pssKib(process.pid)) === 0) return undefined;
  const members = [...parents.keys()].filter((pid) => isBelow(pid, rootPid, parents));
  const sizes = await Promise.all(members.map(pssKib));
  return sizes.reduce((sum, kib) => sum + kib, 0) / KIB_PER_MIB;
}

async function parentOf(): Promise<Map<number, number> | undefined> {
  const entries = await readdir('/proc').catch(() => undefined);
  if (!entries) return undefined;
  const parents = new Map<number, number>();
  for (const entry of entries) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = await readFile(`/proc/${entry}/stat`, 'utf8').catch(() => undefined);
    // The name in parentheses may contain anything; the fields are counted from its end.
    const parent = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
    if (parent !== undefined) parents.set(Number(entry), Number(parent));
  }
  return parents;
}

function isBelow(pid: number, root: number, parents: Map<number, number>): boolean {
  for (let at: number | undefined = pid; at !== undefined && at > 0; at = parents.get(at)) if (at === root) return true;
  return false;
}

async function pssKib(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0);
}

/** Watches the tree's memory until `stop()`; `peakMib()` is the highest sum seen, undefined before the first look. */
export function watchPeakPss(everyMs = 2_000): { peakMib(): number | undefined; stop(): void } {
  let peak: number | undefined;
  let busy = false;
  const look = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    const now = await processTreePssMib().finally(() => (busy = false));
    if (now !== undefined) peak = Math.max(peak ?? 0, now);
  };
  const timer = setInterval(() => void look(), everyMs);
  timer.unref();
  void look();
  return { peakMib: () => peak, stop: () => clearInterval(timer) };
}
