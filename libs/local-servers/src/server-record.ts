import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProcessIdentity } from './process-identity.js';

/** Lies in the server's folder, so that the next start knows what the last one left behind. */
export interface ServerRecord {
  server: ProcessIdentity;
  /** Who started it. While that process lives, the folder is taken. */
  owner: ProcessIdentity;
  port: number;
  /** Same settings: a healthy orphan may be used as it is. */
  settingsHash: string;
}

const FILE = 'server.json';

export async function readRecord(dir: string): Promise<ServerRecord | undefined> {
  try {
    return JSON.parse(await readFile(join(dir, FILE), 'utf8')) as ServerRecord;
  } catch {
    return undefined;
  }
}

export async function writeRecord(dir: string, record: ServerRecord): Promise<void> {
  const draft = join(dir, `${FILE}.new`);
  await writeFile(draft, JSON.stringify(record, null, 2));
  await rename(draft, join(dir, FILE));
}
