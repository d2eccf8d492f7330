import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { tryLock } from 'fs-native-extensions';

/**
 * Takes the lock that says "somebody may write here". It belongs to the open file, so a runtime that inherits the
 * descriptor keeps it held when this process dies.
 * @returns undefined when it is not free within `timeoutMs`: another writer lives.
 */
export async function takeRunLock(path: string, timeoutMs: number): Promise<FileHandle | undefined> {
  const handle = await open(path, 'a+');
  const deadline = Date.now() + timeoutMs;
  while (!tryLock(handle.fd)) {
    if (Date.now() >= deadline) {
      await handle.close();
      return undefined;
    }
    await sleep(50);
  }
  return handle;
}
