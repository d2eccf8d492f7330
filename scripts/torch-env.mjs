// Makes the Python environment of services/runtime-torch in the cache, once, and prints its Python:
// `node scripts/torch-env.mjs`. `node scripts/torch-env.mjs lock` writes its lock file anew from pyproject.toml.
// Needs Python 3.11 to 3.13 and a built libs/local-servers (`pnpm build`).
import { spawnSync } from 'node:child_process';
import { fileURLToPath, pathToFileURL } from 'node:url';

const PROJECT = fileURLToPath(new URL('../services/runtime-torch', import.meta.url));
const LOCK_FILE = `${PROJECT}/requirements.lock`;

/** @returns {Promise<{ python?: string, missing?: string }>} the environment's Python, or why there is none. */
export async function ensureTorch(log = console.log) {
  const { ensurePythonEnvironment, findPythonEnvironment } = await import('../libs/local-servers/dist/index.js');
  const options = { name: 'runtime-torch', lockFile: LOCK_FILE, log };
  const found = await findPythonEnvironment(options);
  if (found) return { python: found };
  const started = Date.now();
  log(
    'luthier: making the Python environment of the PyTorch runtime (2.6 GB to fetch, 4.6 GB on disk, 2 to 5 minutes)',
  );
  try {
    const python = await ensurePythonEnvironment(options);
    log(`luthier: made in ${Math.round((Date.now() - started) / 1000)} s`);
    return { python };
  } catch (cause) {
    return { missing: cause instanceof Error ? cause.message : String(cause) };
  }
}

/** Hashes of every platform's files, and no address of an index. */
function lock(python) {
  const from = ['pip', 'compile', 'pyproject.toml', '--group', 'dev', '--python-version', '3.11'];
  const to = ['--universal', '--generate-hashes', '--no-emit-index-url', '--no-annotate', '--no-header', '--quiet'];
  const args = ['-m', 'uv', ...from, ...to, '--output-file', LOCK_FILE];
  return spawnSync(python, args, { cwd: PROJECT, stdio: 'inherit' }).status ?? 1;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { python, missing } = await ensureTorch();
  if (!python) console.error(`missing: ${missing}`);
  else if (process.argv[2] === 'lock') process.exitCode = lock(python);
  else console.log(python);
  if (!python) process.exitCode = 1;
}
