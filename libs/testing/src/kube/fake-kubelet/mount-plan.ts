import { lstatSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What stands for the files of an image: pods run programs of this project, wherever it lies. */
const PROJECT = resolve(fileURLToPath(new URL('../../../../../', import.meta.url)));

/** What a container sees at a path of its own. */
export interface Mount {
  /** As the pod names it. */
  at: string;
  /** Folder or file of this machine; undefined only makes the folder. */
  from?: string;
  readOnly?: boolean;
}

/** More entries than that are not put together one by one. */
const MAX_ENTRIES = 2_000;

/**
 * Shell commands that put a root folder together at `root`: everything of this machine, and the mounts over it. Nothing
 * is written outside `root`: a folder in which a mount point is missing is replaced by one of memory with the same entries.
 * Where a mount would hide this project, such as a volume at /tmp, the project is put over it again.
 * To be run in a mount namespace of its own.
 */
export function mountPlan(root: string, mounts: readonly Mount[]): string[] {
  const ordered = mounts
    .map((mount) => ({ ...mount, at: realPath(mount.at) }))
    .sort((a, b) => a.at.split('/').length - b.at.split('/').length || (a.at < b.at ? -1 : 1));
  const opened = new Set(['/']);
  ordered.forEach(({ at }, index) => {
    const insideOther = ordered.slice(0, index).some((other) => at.startsWith(`${other.at}/`));
    if (!insideOther && !exists(at)) for (const path of ancestorsThatExist(at)) opened.add(path);
  });
  const commands = [...opened].sort().flatMap((path) => openFolder(root, path, opened));
  for (const mount of ordered) {
    commands.push(...bind(root, mount));
    if (PROJECT.startsWith(`${mount.at}/`)) {
      const at = quote(root + PROJECT);
      commands.push(`mkdir -p ${at}`, `mount --rbind ${quote(PROJECT)} ${at}`);
    }
  }
  for (const { at, from, readOnly } of ordered)
    if (readOnly === true && from !== undefined) commands.push(`mount -o remount,ro,bind ${quote(root + at)}`);
  return commands;
}

function openFolder(root: string, path: string, opened: ReadonlySet<string>): string[] {
  const at = quote(path === '/' ? root : root + path);
  const entries = readdirSync(path);
  if (entries.length > MAX_ENTRIES) throw new Error(`${path} has too many entries for a mount point below it`);
  const { mode } = statSync(path);
  const commands = [`mount -t tmpfs -o mode=${(mode & 0o7777).toString(8)} tmpfs ${at}`];
  for (const entry of entries) {
    const from = join(path, entry);
    const to = quote(root + from);
    const kind = lstatSync(from, { throwIfNoEntry: false });
    if (kind === undefined) continue;
    if (kind.isSymbolicLink()) commands.push(`ln -s ${quote(readlinkSync(from))} ${to}`);
    else if (kind.isDirectory()) {
      commands.push(`mkdir ${to}`);
      if (!opened.has(from)) commands.push(`mount --rbind ${quote(from)} ${to}`);
    }
    // What has gone since, or must not be shown, is left out.
    else commands.push(`{ : > ${to} && mount --bind ${quote(from)} ${to}; } 2>/dev/null || :`);
  }
  return commands;
}

function bind(root: string, { at, from }: Mount): string[] {
  const to = quote(root + at);
  if (from === undefined) return [`mkdir -p ${to}`];
  const isFolder = statSync(from).isDirectory();
  const point = isFolder ? `mkdir -p ${to}` : `mkdir -p ${quote(root + dirname(at))} && { [ -e ${to} ] || : > ${to}; }`;
  return [point, `mount --bind ${quote(from)} ${to}`];
}

/** With the links of this machine followed as far as the path exists: /var/run/x is /run/x. */
function realPath(path: string): string {
  let real = '/';
  for (const part of resolve('/', path).split('/').filter(Boolean)) {
    const next = join(real, part);
    const isLink = lstatSync(next, { throwIfNoEntry: false })?.isSymbolicLink() === true;
    real = isLink ? realPath(resolve(real, readlinkSync(next))) : next;
  }
  return real;
}

function ancestorsThatExist(path: string): string[] {
  const found: string[] = [];
  for (let at = dirname(path); at !== '/'; at = dirname(at)) if (exists(at)) found.push(at);
  return found;
}

const exists = (path: string): boolean => statSync(path, { throwIfNoEntry: false }) !== undefined;
const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
