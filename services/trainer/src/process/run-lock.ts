import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { tryLock } from 'fs-native-extensions';

/**
 * Waits until nobody holds the lock: every process that got its descriptor is gone. Takes it for a moment only, since
 * the executor must never be the holder. No lock file: nobody ever wrote here.
 * @throws Error when it is still held after `timeoutMs`.
 */
export async function waitUntilUnlocked(path: string, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (await isLocked(path)) {
    if (Date.now() > deadline) throw new Error(`a writer of "${path}" is still alive after ${timeoutMs} ms`);
    await sleep(25);
  }
}

export async function isLocked(path: string): Promise<boolean> {
  const handle = await open(path, 'r+').catch(() => undefined);
  if (!handle) return false;
  try {
    return !tryLock(handle.fd);
  } finally {
    await handle.close(); // releases it
  }
}

/** One trainer a work folder. @throws Error when another one still lives after `timeoutMs`. */
export async function takeWorkDirLock(path: string, timeoutMs: number): Promise<FileHandle> {
  const handle = await open(path, 'a+');
  const deadline = Date.now() + timeoutMs;
  while (!tryLock(handle.fd)) {
    if (Date.now() > deadline) {
      await handle.close();
      throw new Error(`another trainer works in the folder of "${path}"`);
    }
    await sleep(50);
  }
  return handle;
}
