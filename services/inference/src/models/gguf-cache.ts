import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@luthier/contracts';
import { huggingFaceToGguf, isFormatError, mergePeftAdapter, peftToGguf } from '@luthier/formats';

/** Raised when the conversion changes what it writes: files of an older one are made again. */
const CONVERSION = 'v2';
const COMPLETE = /\.gguf$/;
const UNFINISHED = /\.tmp$/;

/**
 * Converted files, named by the sha256 of what they were made from; the ones unused for longest go when they take too
 * much space. Belongs to one process, which calls it for one model at a time.
 */
export class GgufCache {
  private opened = false;

  /** `maxSizeBytes`: of all files together; the one that was made last stays, however large. */
  constructor(
    private readonly dir: string,
    private readonly maxSizeBytes: number,
  ) {}

  /** BF16 GGUF of a Hugging Face folder. @throws AppError `model.unreadable`, `disk.full`. */
  base(modelDir: string, sha256: string): Promise<string> {
    return this.make(`base-${CONVERSION}-${sha256}.gguf`, (ggufPath) =>
      huggingFaceToGguf({ modelDir, ggufPath, type: 'BF16', fsync: true }),
    );
  }

  /** GGUF LoRA of a PEFT folder. @throws AppError `model.unreadable`, `disk.full`. */
  adapter(adapterDir: string, sha256: string, baseDir: string): Promise<string> {
    return this.make(`adapter-${CONVERSION}-${sha256}.gguf`, (ggufPath) =>
      peftToGguf({ adapterDir, modelDir: baseDir, ggufPath, fsync: true }),
    );
  }

  /**
   * GGUF of a base with an adapter merged into it, for one with magnitudes (DoRA) or modules that were trained whole, which
   * llama.cpp would not know.
   * @throws AppError `model.unreadable`, `disk.full`.
   */
  merged(adapterDir: string, sha256: string, baseDir: string): Promise<string> {
    return this.make(`merged-${CONVERSION}-${sha256}.gguf`, async (ggufPath) => {
      const outDir = `${ggufPath}.merge.tmp`;
      try {
        await mergePeftAdapter({ modelDir: baseDir, adapterDir, outDir });
        await huggingFaceToGguf({ modelDir: outDir, ggufPath, type: 'BF16', fsync: true });
      } finally {
        await rm(outDir, { recursive: true, force: true });
      }
    });
  }

  /** The converters write under a temporary name and leave nothing when they fail. */
  private async make(name: string, convert: (file: string) => Promise<unknown>): Promise<string> {
    await this.open();
    const path = join(this.dir, name);
    if (existsSync(path)) {
      const now = new Date();
      await utimes(path, now, now);
      return path;
    }
    await convert(path).catch((cause: unknown) => {
      throw asAppError(cause);
    });
    await this.prune(name);
    return path;
  }

  /** What a killed process had not finished is removed. */
  private async open(): Promise<void> {
    if (this.opened) return;
    await mkdir(this.dir, { recursive: true });
    for (const name of await readdir(this.dir))
      if (UNFINISHED.test(name)) await rm(join(this.dir, name), { recursive: true, force: true });
    this.opened = true;
  }

  private async prune(justMade: string): Promise<void> {
    const names = (await readdir(this.dir)).filter((name) => COMPLETE.test(name));
    const aged = await Promise.all(
      names.map(async (name) => {
        const { mtimeMs, size } = await stat(join(this.dir, name));
        return { name, usedMs: mtimeMs, sizeBytes: size };
      }),
    );
    aged.sort((a, b) => b.usedMs - a.usedMs);
    let keptBytes = 0;
    for (const { name, sizeBytes } of aged) {
      keptBytes += sizeBytes;
      // A file that llama.cpp has mapped stays readable after its name is gone.
      if (keptBytes > this.maxSizeBytes && name !== justMade) await rm(join(this.dir, name), { force: true });
    }
  }
}

function asAppError(cause: unknown): unknown {
  if (isFormatError(cause)) return new AppError('model.unreadable', cause.message, { cause });
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined;
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return new AppError('model.unreadable', 'The files of the model are not there.', { cause });
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new AppError('disk.full', 'There is no space to convert the model for answers.', { cause });
  return cause;
}
