import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeWithProcess } from '@luthier/local-servers';

/** A new folder that is removed when this process ends, even by kill -9. Other users may pass through it (Postgres as root needs that). */
export async function tempDir(label = 'test'): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), `luthier-${label}-`));
  await chmod(dir, 0o711);
  removeWithProcess(dir);
  return dir;
}
