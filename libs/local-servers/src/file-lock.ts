import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { identityOf, isAlive } from './process-identity.js';
import type { ProcessIdentity } from './process-identity.js';

/**
 * Runs `work` while holding the lock file `path`. A lock whose holder died is taken over. Works between processes and
 * between callers in one process.
 * @throws Error when the lock is not free within `timeoutMs`.
 */
export async function withFileLock<T>(path: string, timeoutMs: number, work: () => Promise<T>): Promise<T> {
  const token = randomUUID();
  await mkdir(dirname(path), { recursive: true });
  const deadline = Date.now() + timeoutMs;
  while (!(await tryLock(path, token))) {
    if (Date.now() > deadline) throw new Error(`"${path}" is held by another process for more than ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  try {
    return await work();
  } finally {
    await release(path, token);
  }
}

interface Holder extends ProcessIdentity {
  token: string;
}

async function tryLock(path: string, token: string): Promise<boolean> {
  const self = await identityOf(process.pid);
  const draft = `${path}.${token}`;
  await writeFile(draft, JSON.stringify({ ...self, token }));
  try {
    await link(draft, path); // atomic and with its content: nobody ever reads half a lock
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    const holder = await readHolder(path);
    if (holder && !(await isAlive(holder))) await breakLock(path, holder);
    return false;
  } finally {
    await rm(draft, { force: true });
  }
}

/**
 * Removes the lock of `dead`, if it is still that one. Only who holds a lock of its own for that may look and remove:
 * between the two of one who comes late, the next holder could have taken its place.
 */
export async function breakLock(path: string, dead: Holder): Promise<void> {
  const guard = `${path}.breaking-${dead.token}`;
  const token = randomUUID();
  if (!(await tryLock(guard, token))) return; // another process does it; if that one is dead, its lock was broken now
  try {
    await release(path, dead.token);
  } finally {
    await release(guard, token);
  }
}

async function release(path: string, token: string): Promise<void> {
  if ((await readHolder(path))?.token === token) await rm(path, { force: true });
}

async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Holder;
  } catch {
    return undefined;
  }
}
