import { readFile } from 'node:fs/promises';

/** How often the kernel has killed for memory in this control group; 0 where that cannot be read. */
export async function readOomKills(): Promise<number> {
  const groups = await readFile('/proc/self/cgroup', 'utf8').catch(() => '');
  for (const line of groups.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (path === undefined || controllers === undefined) continue;
    const file =
      controllers === ''
        ? `/sys/fs/cgroup${path}/memory.events`
        : controllers.split(',').includes('memory')
          ? `/sys/fs/cgroup/memory${path}/memory.oom_control`
          : undefined;
    const text = file === undefined ? '' : await readFile(file, 'utf8').catch(() => '');
    const count = /^oom_kill (\d+)$/m.exec(text)?.[1];
    if (count !== undefined) return Number(count);
  }
  return 0;
}
