import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where fetched binaries are kept: `LUTHIER_CACHE_DIR`, else the user's cache folder. */
export function defaultCacheDir(): string {
  const own = process.env['LUTHIER_CACHE_DIR'];
  if (own) return own;
  const xdg = process.env['XDG_CACHE_HOME'];
  if (xdg) return join(xdg, 'luthier');
  const home = homedir();
  return home === '' || home === '/' ? join(tmpdir(), 'luthier-cache') : join(home, '.cache', 'luthier');
}

/** What a fetching tool (pip, go, tar) needs of our environment: all of it, as the user configured it there. */
export const toolEnvironment = (): NodeJS.ProcessEnv => process.env;
