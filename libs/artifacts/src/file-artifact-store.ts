import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { AppError } from '@luthier/contracts';
import { partsOf, prefixPartsOf, uriOfParts } from './artifact-uri.js';
import { ArtifactStore } from './artifact-store.js';
import { MeasuredContent } from './content.js';
import type {
  ArtifactContent,
  ArtifactPage,
  ArtifactStat,
  ByteRange,
  PageRequest,
  PutOptions,
  StoredArtifact,
} from './artifact-store.js';

const FOLDER_TRIES = 20;

/** Artifacts as files below one folder. The layout is that of the URIs, so a person can find them. */
export class FileArtifactStore extends ArtifactStore {
  private readonly root: string;

  constructor(rootDir: string) {
    super();
    this.root = resolve(rootDir);
  }

  async put(uri: string, content: ArtifactContent, options: PutOptions = {}): Promise<StoredArtifact> {
    const file = this.fileOf(partsOf(uri));
    const draft = join(dirname(file), `.put-${randomBytes(8).toString('hex')}`);
    try {
      const handle = await createWithFolder(draft);
      const measured = new MeasuredContent(content, options);
      try {
        await writeAll(handle, measured);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(draft, file);
      await syncFolder(dirname(file));
      const { sizeBytes, sha256 } = measured;
      return { uri, sizeBytes, sha256 };
    } catch (cause) {
      await rm(draft, { force: true });
      throw storageError(uri, cause);
    }
  }

  async get(uri: string, range?: ByteRange): Promise<Readable> {
    const file = this.fileOf(partsOf(uri));
    const handle = await open(file, 'r').catch((cause: unknown) => {
      throw storageError(uri, cause);
    });
    if (!(await handle.stat()).isFile()) {
      await handle.close();
      throw new AppError('storage.not-found', `${uri} is not there`);
    }
    return createReadStream('', {
      fd: handle,
      start: range?.start ?? 0,
      ...(range?.end !== undefined && { end: range.end }),
    });
  }

  async stat(uri: string): Promise<ArtifactStat | undefined> {
    const found = await stat(this.fileOf(partsOf(uri))).catch(ifAbsent);
    return found?.isFile() ? { uri, sizeBytes: found.size, modifiedAt: found.mtime } : undefined;
  }

  async list(prefix: string, page: PageRequest = {}): Promise<ArtifactPage> {
    const limit = Math.max(1, Math.min(page.limit ?? 1_000, 10_000));
    const items: ArtifactStat[] = [];
    for await (const item of this.walk(prefixPartsOf(prefix), page.after)) {
      if (items.length === limit) return { items, next: items.at(-1)?.uri ?? '' };
      items.push(item);
    }
    return { items };
  }

  async remove(prefix: string): Promise<number> {
    const parts = prefixPartsOf(prefix);
    let count = 0;
    for await (const _item of this.walk(parts)) count++;
    await rm(this.fileOf(parts), { recursive: true, force: true });
    await this.removeEmptyParents(parts);
    return count;
  }

  urlFor(uri: string): Promise<string> {
    return Promise.resolve(pathToFileURL(this.localPath(uri)).href);
  }

  /** The file that holds the artifact, or the folder of a prefix. */
  localPath(uri: string): string {
    return this.fileOf(prefixPartsOf(uri));
  }

  private fileOf(parts: readonly string[]): string {
    return join(this.root, ...parts);
  }

  /** In the byte order of the URIs: a folder sorts as its name with a slash. */
  private async *walk(parts: string[], after?: string): AsyncGenerator<ArtifactStat> {
    const path = this.fileOf(parts);
    const found = await stat(path).catch(ifAbsent);
    if (!found) return;
    const uri = uriOfParts(parts);
    if (found.isFile()) {
      if (after === undefined || uri > after) yield { uri, sizeBytes: found.size, modifiedAt: found.mtime };
      return;
    }
    const entries = ((await readdir(path, { withFileTypes: true }).catch(ifAbsent)) ?? [])
      .filter((entry) => !entry.name.startsWith('.') && (entry.isFile() || entry.isDirectory()))
      .map((entry) => ({ name: entry.name, key: entry.isDirectory() ? `${entry.name}/` : entry.name }))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
    for (const { name, key } of entries) {
      const below = `${uri}/${key}`;
      // A whole folder that ends before `after` is passed over without being read.
      if (after !== undefined && below < after && !after.startsWith(below)) continue;
      yield* this.walk([...parts, name], after);
    }
  }

  private async removeEmptyParents(parts: readonly string[]): Promise<void> {
    for (let depth = parts.length - 1; depth > 0; depth--) {
      const left = await rmdir(this.fileOf(parts.slice(0, depth))).then(
        () => false,
        () => true,
      );
      if (left) return;
    }
  }
}

/** Whoever removes the last artifact of a folder removes it, too: maybe just when it was found or made here. */
async function createWithFolder(file: string): Promise<FileHandle> {
  for (let left = FOLDER_TRIES; ; left -= 1) {
    try {
      await mkdir(dirname(file), { recursive: true });
      return await open(file, 'wx', 0o644);
    } catch (cause) {
      if (left === 0 || codeOf(cause) !== 'ENOENT') throw cause;
    }
  }
}

/** @internal */
export async function writeAll(handle: FileHandle, content: MeasuredContent): Promise<void> {
  for await (const chunk of content.chunks()) await handle.writeFile(chunk); // the whole chunk, at the current position
}

/** A rename is durable when its folder is. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const codeOf = (cause: unknown): string | undefined => (cause as NodeJS.ErrnoException | undefined)?.code;
const ABSENT = new Set(['ENOENT', 'ENOTDIR']);

function ifAbsent(cause: unknown): undefined {
  if (ABSENT.has(codeOf(cause) ?? '')) return undefined;
  throw cause;
}

/** @internal */
export function storageError(uri: string, cause: unknown): Error {
  const code = codeOf(cause) ?? '';
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new AppError('disk.full', `No space is left for ${uri}`, { cause });
  if (ABSENT.has(code)) return new AppError('storage.not-found', `${uri} is not there`, { cause });
  if (code === 'EIO' || code === 'EROFS' || code === 'EACCES') {
    return new AppError('storage.unreachable', `The storage refuses ${uri} (${code})`, { cause });
  }
  return cause instanceof Error ? cause : new Error(String(cause));
}
