import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@luthier/contracts';
import { huggingFaceToGguf, isFormatError, peftToGguf } from '@luthier/formats';

/** Converted files, named by the sha256 of what they were made from; the oldest go when there are too many. */
export class GgufCache {
  private readonly making = new Map<string, Promise<string>>();

  constructor(
    private readonly dir: string,
    private readonly maxFiles = 24,
  ) {}

  /** BF16 GGUF of a Hugging Face folder. @throws AppError `model.unreadable`. */
  base(modelDir: string, sha256: string): Promise<string> {
    return this.once(`base-${sha256}.gguf`, (file) => huggingFaceToGguf({ modelDir, ggufPath: file, type: 'BF16' }));
  }

  /** GGUF LoRA of a PEFT folder. @throws AppError `model.unreadable`. */
  adapter(adapterDir: string, sha256: string, baseDir: string): Promise<string> {
    return this.once(`adapter-${sha256}.gguf`, (file) => peftToGguf({ adapterDir, modelDir: baseDir, ggufPath: file }));
  }

  private once(name: string, convert: (file: string) => Promise<unknown>): Promise<string> {
    const running = this.making.get(name);
    if (running) return running;
    const made = this.make(name, convert).finally(() => this.making.delete(name));
    this.making.set(name, made);
    return made;
  }

  private async make(name: string, convert: (file: string) => Promise<unknown>): Promise<string> {
    const path = join(this.dir, name);
    if (existsSync(path)) {
      const now = new Date();
      await utimes(path, now, now);
      return path;
    }
    await mkdir(this.dir, { recursive: true });
    const unfinished = `${path}.${process.pid}.tmp`;
    try {
      await convert(unfinished);
      await rename(unfinished, path);
    } catch (cause) {
      await rm(unfinished, { force: true });
      if (isFormatError(cause)) throw new AppError('model.unreadable', cause.message, { cause });
      throw cause;
    }
    await this.prune();
    return path;
  }

  private async prune(): Promise<void> {
    const names = (await readdir(this.dir)).filter((name) => name.endsWith('.gguf'));
    const aged = await Promise.all(
      names.map(async (name) => ({ name, usedMs: (await stat(join(this.dir, name))).mtimeMs })),
    );
    aged.sort((a, b) => b.usedMs - a.usedMs);
    // A file that llama.cpp has mapped stays readable after its name is gone.
    for (const { name } of aged.slice(this.maxFiles)) await rm(join(this.dir, name), { force: true });
  }
}
