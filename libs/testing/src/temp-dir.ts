import { rmSync } from 'node:fs';
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A new folder that is removed when this process exits. Other users may pass through it (Postgres as root needs that). */
export async function tempDir(label = 'test'): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), `luthier-${label}-`));
  await chmod(dir, 0o711);
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
  return dir;
}
