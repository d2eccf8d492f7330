import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { link, mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';

export interface StoredFile {
  /** Relative to its folder, with `/`. */
  name: string;
  sizeBytes: number;
  sha256: string;
}

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** Regular files below `folder`, sorted; links and other things are left out. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(folder.length + 1)
        .replaceAll('\\', '/'),
    )
    .sort();
}

export async function describeFile(folder: string, name: string): Promise<StoredFile> {
  const path = join(folder, name);
  return { name, sizeBytes: (await stat(path)).size, sha256: await sha256OfFile(path) };
}

/** The whole content or the old one, never a part: temporary file, then rename. */
export async function writeAtomically(path: string, content: string, options = { sync: false }): Promise<void> {
  const draft = `${path}.${randomUUID()}.tmp`;
  try {
    await writeFile(draft, content, { flush: options.sync });
    await rename(draft, path);
  } catch (cause) {
    await rm(draft, { force: true });
    throw cause;
  }
}

/**
 * Puts `source` at `target` so that it is complete or absent, and on the disk when this returns. A hard link where both
 * are on one file system (the source is never written again), else a copy.
 */
export async function placeFile(source: string, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const draft = join(dirname(target), `.put-${randomUUID()}`); // a leading dot: lists of the store pass over it
  try {
    try {
      await link(source, draft);
    } catch (cause) {
      if (!['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP'].includes((cause as NodeJS.ErrnoException).code ?? '')) throw cause;
      await pipeline(createReadStream(source), createWriteStream(draft, { flags: 'wx' }));
    }
    await syncPath(draft);
    await rename(draft, target);
    await syncPath(dirname(target));
  } finally {
    await rm(draft, { force: true }); // also after a rename onto the same inode, which does nothing
  }
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
