import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { ARTIFACT_MANIFEST_FILE, AppError, artifactManifest } from '@luthier/contracts';
import type { ArtifactManifest, ArtifactRef } from '@luthier/contracts';
import { readArtifact } from './artifact-store.js';
import type { ArtifactStore } from './artifact-store.js';
import { MeasuredContent } from './content.js';

const DRAFT = '.draft-';
const URL_SECONDS = 60;

export interface LocalFoldersOptions {
  /** Where copies lie; belongs to one process. */
  cacheDir: string;
  /** Of all copies together. */
  maxSizeBytes: number;
}

/**
 * Stored folders as folders of this machine: where they lie, when the store has files here, else a copy in a cache. A
 * copy is named by the SHA-256 of its manifest, every file is checked against it, and it is there complete or not at
 * all. Those unused for longest go when space is needed; those in use stay.
 */
export class LocalFolders {
  private readonly inUse = new Map<string, number>();
  /** Copies are made one after the other: what two ask for is fetched once, and space is counted once. */
  private turn: Promise<unknown> | undefined;

  constructor(
    private readonly store: ArtifactStore,
    private readonly options: LocalFoldersOptions,
  ) {}

  /**
   * Calls `work` with the folder, which is there until that has ended.
   * @throws AppError `model.unreadable` when the stored folder is not what the reference names, `disk.full` also when it
   * does not fit into the cache, `storage.unreachable`.
   */
  async use<T>(ref: ArtifactRef, work: (dir: string) => Promise<T>): Promise<T> {
    const url = await this.store.urlFor(ref.uri, 'read', { lifetimeSeconds: URL_SECONDS });
    if (url.startsWith('file:')) return work(fileURLToPath(url));
    const name = ref.sha256;
    this.inUse.set(name, (this.inUse.get(name) ?? 0) + 1);
    try {
      return await work(await this.copyOf(ref));
    } finally {
      const users = (this.inUse.get(name) ?? 1) - 1;
      if (users > 0) this.inUse.set(name, users);
      else this.inUse.delete(name);
    }
  }

  private copyOf(ref: ArtifactRef): Promise<string> {
    const before = this.turn ?? this.clearDrafts();
    const copy = before.catch(() => undefined).then(() => this.find(ref));
    this.turn = copy;
    return copy;
  }

  private async find(ref: ArtifactRef): Promise<string> {
    const dir = join(this.options.cacheDir, ref.sha256);
    if (await stat(join(dir, ARTIFACT_MANIFEST_FILE)).catch(() => undefined)) {
      const now = new Date();
      await utimes(dir, now, now);
      return dir;
    }
    const draft = join(this.options.cacheDir, `${DRAFT}${ref.sha256}`);
    try {
      const manifest = await this.manifestOf(ref);
      const { files } = artifactManifest.parse(JSON.parse(manifest.toString()));
      await this.makeRoom(files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
      for (const file of files) await this.fetch(ref.uri, file, draft);
      await writeFile(join(draft, ARTIFACT_MANIFEST_FILE), manifest, { flush: true });
      await rename(draft, dir);
      return dir;
    } catch (cause) {
      throw (cause as NodeJS.ErrnoException).code === 'ENOSPC'
        ? new AppError('disk.full', undefined, { cause })
        : cause;
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
  }

  private async manifestOf({ uri, sha256 }: ArtifactRef): Promise<Buffer> {
    const bytes = await readArtifact(this.store, `${uri}/${ARTIFACT_MANIFEST_FILE}`);
    if (createHash('sha256').update(bytes).digest('hex') === sha256) return bytes;
    throw new AppError('model.unreadable', `The manifest of ${uri} is not the one that was announced`);
  }

  /** The URI of a file is checked part by part, so none leaves the folder. */
  private async fetch(uri: string, file: ArtifactManifest['files'][number], into: string): Promise<void> {
    const content = new MeasuredContent(await this.store.get(`${uri}/${file.name}`), {
      expectedSha256: file.sha256,
      maxSizeBytes: file.sizeBytes,
    });
    const target = join(into, file.name);
    await mkdir(dirname(target), { recursive: true });
    await pipeline(content.chunks(), createWriteStream(target, { flush: true })).catch((cause: unknown) => {
      const differs = cause instanceof AppError && ['data.bad', 'request.too-large'].includes(cause.code);
      throw differs ? new AppError('model.unreadable', `${file.name} of ${uri} is not what its manifest says`) : cause;
    });
  }

  private async makeRoom(neededBytes: number): Promise<void> {
    const { cacheDir, maxSizeBytes } = this.options;
    const copies = await Promise.all(
      (await readdir(cacheDir)).map(async (name) => {
        const dir = join(cacheDir, name);
        return { name, dir, usedMs: (await stat(dir)).mtimeMs, sizeBytes: await sizeOf(dir) };
      }),
    );
    let freeBytes = maxSizeBytes - copies.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    for (const { name, dir, sizeBytes } of copies.sort((a, b) => a.usedMs - b.usedMs)) {
      if (freeBytes >= neededBytes) return;
      if (this.inUse.has(name)) continue;
      await rm(dir, { recursive: true, force: true });
      freeBytes += sizeBytes;
    }
    if (freeBytes >= neededBytes) return;
    throw new AppError('disk.full', `${neededBytes} bytes of a model do not fit into the cache of ${maxSizeBytes}`);
  }

  /** What a killed process had not finished is removed. */
  private async clearDrafts(): Promise<void> {
    const { cacheDir } = this.options;
    await mkdir(cacheDir, { recursive: true });
    for (const name of await readdir(cacheDir)) {
      if (name.startsWith(DRAFT)) await rm(join(cacheDir, name), { recursive: true, force: true });
    }
  }
}

async function sizeOf(dir: string): Promise<number> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
