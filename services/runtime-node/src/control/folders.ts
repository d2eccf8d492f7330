import { mkdir, rename, rm } from 'node:fs/promises';
import { fsyncFolder } from '@luthier/formats';

/** Puts a folder in place as a whole: written beside it, flushed, renamed. An older one is replaced. */
export async function writeFolder(
  dir: string,
  parent: string,
  write: (temporary: string) => Promise<void>,
): Promise<void> {
  const temporary = `${dir}.tmp`;
  try {
    await rm(temporary, { recursive: true, force: true });
    await mkdir(temporary, { recursive: true });
    await write(temporary);
    await fsyncFolder(temporary);
    await rm(dir, { recursive: true, force: true });
    await rename(temporary, dir);
    await fsyncFolder(parent);
  } catch (thrown) {
    await rm(temporary, { recursive: true, force: true });
    throw thrown;
  }
}
