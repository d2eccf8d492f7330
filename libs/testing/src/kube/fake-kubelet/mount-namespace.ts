import { execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { mountPlan } from './mount-plan.js';
import type { Mount } from './mount-plan.js';

const run = promisify(execFile);
const TOOLS = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
const READY_TIMEOUT_MS = 30_000;

/** Root makes mount namespaces by right; others as the root of a user namespace, where the machine allows that. */
const ownUserNamespace = process.getuid?.() !== 0;
const NEW = [
  '--mount',
  '--uts',
  '--propagation',
  'private',
  ...(ownUserNamespace ? ['--user', '--map-root-user'] : []),
];
const ENTER = ['--mount', '--uts', '--root', '--wd', ...(ownUserNamespace ? ['--user', '--preserve-credentials'] : [])];

let refusal: Promise<string | undefined> | undefined;

/** Why this machine does not let tests make mount namespaces; undefined when it does. */
export const whyNoNamespaces = (): Promise<string | undefined> =>
  (refusal ??= run('unshare', [...NEW, 'mount', '-t', 'tmpfs', 'tmpfs', '/tmp'], { env: TOOLS, timeout: 10_000 }).then(
    () => undefined,
    (cause: unknown) =>
      `the right to make mount namespaces (${cause instanceof Error ? cause.message.trim() : String(cause)})`,
  ));

/**
 * Holds the place where a container's processes run: mounts and host name. They are entered, so that environment and
 * arguments reach them as they are. All end with this process, however it ends.
 */
export class MountNamespace {
  private constructor(private readonly holder: ChildProcessByStdio<Writable, Readable, Readable>) {}

  /** @param dir a folder of its own. @throws Error with what mount said. */
  static async create(
    dir: string,
    options: { hostname: string; workingDir: string; mounts: readonly Mount[] },
  ): Promise<MountNamespace> {
    const root = join(dir, 'root');
    const script = join(dir, 'mounts.sh');
    await mkdir(root, { recursive: true });
    const mounts = [...options.mounts, { at: options.workingDir }];
    // It waits in the working folder for the pid of the container, then for our end, and leaves nothing of it behind.
    const wait = 'cd "$1" && echo ready && read -r pid && { read -r _; kill -KILL -- "-$pid"; } 2>/dev/null';
    const steps = [
      'set -e',
      ...mountPlan(root, mounts),
      'hostname "$2" 2>/dev/null || echo "$2" > /proc/sys/kernel/hostname',
      `exec chroot ${root} /bin/sh -c '${wait}' sh "$1"`,
    ];
    await writeFile(script, `${steps.join('\n')}\n`);
    const args = [...NEW, '/bin/sh', script, options.workingDir, options.hostname];
    const holder = spawn('unshare', args, { env: TOOLS, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
    holder.stdin.on('error', () => undefined);
    await untilReady(holder);
    holder.unref();
    return new MountNamespace(holder);
  }

  /** Program and arguments that run `command` in here; the process that is started becomes it. */
  enter(command: readonly string[]): [string, string[]] {
    return ['/usr/bin/nsenter', ['--target', String(this.holder.pid), ...ENTER, '--', ...command]];
  }

  /** From now on the process group `pid` ends with the namespace. */
  guard(pid: number): void {
    this.holder.stdin.write(`${pid}\n`);
  }

  close(): void {
    this.holder.stdin.end();
  }
}

async function untilReady(holder: ChildProcessByStdio<Writable, Readable, Readable>): Promise<void> {
  let said = '';
  holder.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-2_000)));
  const timer = setTimeout(() => holder.kill('SIGKILL'), READY_TIMEOUT_MS);
  try {
    await new Promise<void>((resolve, reject) => {
      holder.once('error', reject);
      holder.once('close', () => reject(new Error(`the mounts failed: ${said.trim()}`)));
      createInterface({ input: holder.stdout }).once('line', () => resolve());
    });
  } finally {
    clearTimeout(timer);
  }
}
