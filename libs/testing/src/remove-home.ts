import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Removes the home of a platform that has ended and, where the database had to lie elsewhere (as root, in a home that
 * others cannot enter), that too.
 */
export async function removeHome(home: string): Promise<void> {
  const place = await readFile(join(home, 'postgres', 'database-place'), 'utf8').catch(() => '');
  if (/^[0-9a-f-]{36}$/.test(place)) {
    await rm(join('/var/lib/luthier', place), { recursive: true, force: true });
  }
  await rm(home, { recursive: true, force: true });
}
