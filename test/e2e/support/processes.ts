import { readFile, readdir, readlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

export interface SeenProcess {
  pid: number;
  parent: number;
  /** Program and arguments, separated by spaces. */
  command: string;
  folder: string;
}

/** Every living process (Linux). One that has ended and is not yet waited for does not count. */
export async function processes(): Promise<SeenProcess[]> {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const seen = await Promise.all(names.map(lookAt));
  return seen.filter((one) => one !== undefined);
}

async function lookAt(name: string): Promise<SeenProcess | undefined> {
  const [stat, command, folder] = await Promise.all([
    readFile(`/proc/${name}/stat`, 'utf8').catch(() => ''),
    readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => ''),
    readlink(`/proc/${name}/cwd`).catch(() => ''),
  ]);
  // The name in parentheses may contain anything; the fields are counted from its end.
  const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (command === '' || state === 'Z' || state === 'X') return undefined;
  return { pid: Number(name), parent: Number(parent), command: command.replaceAll('\0', ' ').trim(), folder };
}

/** Runtimes that work for runs of this home, whoever their parent is by now. */
export const runtimesIn = async (home: string): Promise<SeenProcess[]> =>
  (await processes()).filter(
    ({ command }) => command.includes('runtime-node/dist/main.js train') && command.includes(home),
  );

export const runnersIn = async (home: string): Promise<SeenProcess[]> =>
  (await processes()).filter(
    ({ command, folder }) => command.includes('services/runner/dist/main.js') && folder.startsWith(home),
  );

/** kill -9 of the first. @throws Error when there is none. */
export function killFirst([victim]: readonly SeenProcess[]): void {
  if (!victim) throw new Error('nothing of the kind runs');
  process.kill(victim.pid, 'SIGKILL');
}

/** A child server of the platform process `parent`: its program's name is the end of its first word. */
export async function serverOf(parent: number, program: 'nats-server' | 'postgres'): Promise<SeenProcess> {
  const found = (await processes()).find(
    (one) => one.parent === parent && one.command.split(' ')[0]?.endsWith(`/${program}`) === true,
  );
  if (!found) throw new Error(`process ${parent} has no child ${program}`);
  return found;
}

export interface RuntimeWatch {
  /** Most runtimes seen at once. */
  most(): number;
  stop(): Promise<number>;
}

/** Looks again and again how many runtimes of a home are alive. */
export function watchRuntimes(home: string): RuntimeWatch {
  let most = 0;
  let stopped = false;
  const watching = (async () => {
    while (!stopped) {
      most = Math.max(most, (await runtimesIn(home)).length);
      await sleep(50);
    }
  })();
  return {
    most: () => most,
    stop: async () => {
      stopped = true;
      await watching;
      return most;
    },
  };
}
