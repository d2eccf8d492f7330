import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { mkdir, realpath, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { guardServer, identityOf } from '@luthier/local-servers';
import { ROOT } from './dockerfile.js';

/** One that no /etc/passwd knows, with the group 0, as OpenShift gives them. */
const USER = 1_000_740_000;
const SYSTEM = ['/bin', '/sbin', '/lib', '/lib64', '/usr', '/etc'];
const TOOLS = '/usr/sbin:/usr/bin:/sbin:/bin';
const IMAGE_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const isRoot = process.getuid?.() === 0;

export interface ContainerOptions {
  /** A folder of its own. */
  dir: string;
  command: readonly string[];
  environment: Readonly<Record<string, string>>;
  workingDir: string;
  /** Folders of the image, read-only: path in the image -> folder of this machine. */
  image: Readonly<Record<string, string>>;
  /** Volumes that everybody may write to. */
  volumes?: Readonly<Record<string, string>>;
}

/**
 * A program in the root folder that its image has: this machine's system, Node, and the files of the image, nothing of
 * the repository, all of it read-only but /tmp and the volumes. It runs as another user than whoever tests, without any right.
 */
export class ImageContainer {
  said = '';
  readonly ended: Promise<number>;

  private constructor(private readonly child: ChildProcessByStdio<null, Readable, Readable>) {
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (chunk: string) => (this.said = (this.said + chunk).slice(-16_000)));
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve(code ?? -1));
    });
    this.ended.catch(() => undefined);
  }

  static async start(options: ContainerOptions): Promise<ImageContainer> {
    const { dir, command, environment, workingDir } = options;
    const script = join(dir, 'root.sh');
    await mkdir(join(dir, 'root'), { recursive: true });
    await writeFile(script, await rootScript(options));
    const own = isRoot ? [] : ['--user', '--map-root-user'];
    // Each program becomes the next, so that it is the container's own that signals reach.
    const child = spawn(
      '/usr/bin/unshare',
      ['--mount', '--propagation', 'private', ...own, '/bin/sh', script, workingDir, ...command],
      { env: { PATH: IMAGE_PATH, ...environment }, detached: true, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const container = new ImageContainer(child);
    const identity = child.pid === undefined ? undefined : await identityOf(child.pid);
    if (identity) {
      const watchdog = guardServer(identity, 'KILL', []);
      void container.ended.finally(() => watchdog.dismiss()).catch(() => undefined);
    }
    return container;
  }

  /** @returns its exit code. */
  stop(): Promise<number> {
    this.child.kill('SIGTERM');
    return this.ended;
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }
}

async function rootScript({ dir, image, volumes = {} }: ContainerOptions): Promise<string> {
  const root = join(dir, 'root');
  const node = await realpath(join(ROOT, 'node_modules/node/bin/node'));
  const bind = ([at, from]: readonly [string, string]): string =>
    `mkdir -p ${root}${at} && mount --bind ${from} ${root}${at}`;
  const readOnly = (at: string): string => `mount -o remount,ro,bind ${root}${at}`;
  const asUser = isRoot
    ? `chroot ${root} /usr/bin/setpriv --reuid=${USER} --regid=0 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all`
    : `unshare --user --map-user=${USER} --map-group=0 --root=${root}`;
  const nodeAt = `${root}/usr/local/bin/node`;
  return [
    'set -e',
    'wanted=$PATH',
    `PATH=${TOOLS}`,
    `mount -t tmpfs -o mode=755 tmpfs ${root}`,
    ...SYSTEM.map(
      (at) =>
        `if [ -L ${at} ]; then cp -P ${at} ${root}${at}; elif [ -d ${at} ]; then ${bind([at, at])} && ${readOnly(at)}; fi`,
    ),
    `mkdir ${root}/dev ${root}/proc ${root}/tmp`,
    `mount --rbind /dev ${root}/dev`,
    `mount --rbind /proc ${root}/proc`,
    `mount -t tmpfs -o mode=1777 tmpfs ${root}/tmp`,
    `mount -t tmpfs tmpfs ${root}/usr/local`,
    `mkdir -p ${dirname(nodeAt)} && : > ${nodeAt} && mount --bind ${node} ${nodeAt}`,
    ...Object.entries(image).flatMap((one) => [bind(one), readOnly(one[0])]),
    ...Object.entries(volumes).map(bind),
    readOnly(''),
    // An outcome of its own for a root that can be written to, whoever asks.
    `if ( : > ${root}/written ) 2>/dev/null; then echo 'the root can be written to' >&2; exit 99; fi`,
    `exec ${asUser} /bin/sh -c 'PATH=$1; cd "$2" && shift 2 && exec "$@"' sh "$wanted" "$@"`,
  ].join('\n');
}
