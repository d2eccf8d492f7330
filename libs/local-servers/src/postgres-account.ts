import { randomUUID } from 'node:crypto';
import { chmod, chown, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Postgres refuses to run as root: then it runs as this user of the system. */
export interface Account {
  name: string;
  uid: number;
  gid: number;
}

/** Undefined when we are not root and Postgres runs as ourselves. @throws Error when no fitting user exists. */
export async function postgresAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const wanted of ['postgres', 'nobody']) {
    const found = lines.find(([name]) => name === wanted);
    if (found) return { name: wanted, uid: Number(found[2]), gid: Number(found[3]) };
  }
  throw new Error('Postgres does not run as root, and there is neither a user "postgres" nor "nobody"');
}

const OTHERS_MAY_ENTER = 0o001;

/** Whether any user may pass through every folder from `/` down to `path`. */
export async function isReachable(path: string): Promise<boolean> {
  for (let folder = path; ; folder = dirname(folder)) {
    const found = await stat(folder).catch(() => undefined);
    if (found && (found.mode & OTHERS_MAY_ENTER) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

/** Folders outside every home, in the order they are tried. */
const SYSTEM_DATA = '/var/lib/luthier';

/**
 * Where the data of a server in `dir` can lie so that `account` reaches it: in `dir` itself, or, below a home that
 * others cannot enter, in a folder of the system whose name is kept in `dir`.
 */
export async function reachablePlace(
  dir: string,
  account: Account | undefined,
  log: (message: string) => void,
): Promise<string> {
  if (!account) return dir;
  await chmod(dir, ((await stat(dir)).mode & 0o777) | OTHERS_MAY_ENTER); // dir is ours; its parents are not
  if (await isReachable(dir)) return dir;
  const place = join(SYSTEM_DATA, await placeName(dir));
  await mkdir(place, { recursive: true, mode: 0o711 });
  log(`user ${account.name} cannot reach ${dir}: the database lies in ${place}`);
  return place;
}

/** Made at random and kept: where somebody deletes `dir` and starts anew, the old data is not found instead. */
async function placeName(dir: string): Promise<string> {
  const file = join(dir, 'database-place');
  const kept = await readFile(file, 'utf8').catch(() => '');
  if (/^[a-z0-9-]{20,40}$/.test(kept)) return kept;
  const made = randomUUID();
  await writeFile(file, made);
  return made;
}

/** Creates an empty folder that only `account` (or we ourselves) may enter. */
export async function privateFolder(path: string, account: Account | undefined): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await chmod(path, 0o700);
  if (account) await chown(path, account.uid, account.gid);
}
