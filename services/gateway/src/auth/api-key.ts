import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { KeyStore } from './key.store.js';

const KEY = /^lk-[A-Za-z0-9_-]{43}$/;

/** 256 random bits: nobody guesses it, so a plain hash is enough to keep it. */
export const newApiKey = (): string => `lk-${randomBytes(32).toString('base64url')}`;

/** Lower-case hexadecimal SHA-256: the only form in which keys and session tokens are stored. */
export const secretHash = (secret: string): string => createHash('sha256').update(secret).digest('hex');

/** Whether `hash` is one of `known`; takes the same time wherever it differs. */
export function isKnownHash(hash: string, known: readonly string[]): boolean {
  const wanted = Buffer.from(hash, 'hex');
  let found = false;
  for (const candidate of known) {
    const bytes = Buffer.from(candidate, 'hex');
    if (bytes.length === wanted.length && timingSafeEqual(bytes, wanted)) found = true;
  }
  return found;
}

/**
 * Makes the key of this installation at its first start: stored hashed, written in plain text once to `file`
 * (mode 0600) for the owner. The file is written first, so that a crash between the two leaves a key that the next start
 * takes up. With a key in the store nothing happens: the owner may have removed the file on purpose.
 */
export async function ensureApiKey(store: KeyStore, file: string): Promise<{ file: string; created: boolean }> {
  if ((await store.hashes()).length > 0) return { file, created: false };
  const key = (await readKey(file)) ?? (await writeKey(file, newApiKey()));
  const created = await store.addFirst(secretHash(key));
  return { file, created };
}

async function readKey(file: string): Promise<string | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return KEY.test(text.trim()) ? text.trim() : undefined;
}

/** Complete or not there at all; of two that write at once one wins and both return its key. */
async function writeKey(file: string, key: string): Promise<string> {
  await mkdir(dirname(file), { recursive: true });
  const draft = `${file}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const handle = await open(draft, 'wx', 0o600);
    try {
      await handle.writeFile(`${key}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    try {
      await link(draft, file);
      return key;
    } catch (cause) {
      const other = await readKey(file);
      if (other === undefined) throw cause;
      return other;
    }
  } finally {
    await rm(draft, { force: true });
  }
}
