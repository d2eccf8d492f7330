import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fetchPinned, findPinned, runTool } from './pinned-fetch.js';

/** Newest first; wheels for newer ones need not exist yet. */
const PYTHONS = ['python3.13', 'python3.12', 'python3.11', 'python3'];
const OLDEST = [3, 11] as const;
const NEWEST = [3, 13] as const;

interface PythonEnvironmentOptions {
  /** Names the environment in the cache. */
  readonly name: string;
  /** Requirements with hashes, uv itself among them. */
  readonly lockFile: string;
  /** @default the user's cache */
  readonly cacheDir?: string;
  readonly log?: (message: string) => void;
}

/** The Python of an environment that was made before for exactly this lock; undefined when there is none. */
export async function findPythonEnvironment(options: PythonEnvironmentOptions): Promise<string | undefined> {
  const dir = await findPinned(await environmentName(options), options.cacheDir);
  return dir === undefined ? undefined : pythonIn(dir);
}

/**
 * The Python of a virtual environment with exactly what the lock file lists, from the Python index as pip is configured
 * here; every file is checked against its hash. Made once and kept in the cache.
 * @throws Error when there is no fitting Python, or the index does not give what the lock names.
 */
export async function ensurePythonEnvironment(options: PythonEnvironmentOptions): Promise<string> {
  const { lockFile, ...rest } = options;
  const source = { label: 'the Python index', fetch: (into: string) => makeEnvironment(into, lockFile) };
  const { dir } = await fetchPinned({ ...rest, name: await environmentName(options), sources: [source] });
  return pythonIn(dir);
}

const pythonIn = (dir: string): string => join(dir, 'bin', 'python');

async function environmentName({ name, lockFile }: PythonEnvironmentOptions): Promise<string> {
  const hash = createHash('sha256')
    .update(await readFile(lockFile))
    .digest('hex');
  return `${name}-${hash.slice(0, 16)}`;
}

/** It is moved to its place afterwards: programs in `bin` other than `python` are to be run by `python -m`. */
async function makeEnvironment(into: string, lockFile: string): Promise<void> {
  await runTool(await findPython(), ['-m', 'venv', into]);
  const python = pythonIn(into);
  const uvLock = join(into, 'uv.requirements.txt');
  await writeFile(uvLock, entryOf('uv', await readFile(lockFile, 'utf8')));
  const exactly = ['install', '--quiet', '--require-hashes', '--no-deps', '--requirement'];
  await runTool(python, ['-m', 'pip', ...exactly, uvLock]);
  await rm(uvLock);
  // uv fetches side by side: three times as fast as pip for these sizes.
  const settings = uvSettings(await runTool(python, ['-m', 'pip', 'config', 'list']));
  // Compiled once here: what runs from the environment writes nothing to it and would compile again at every start.
  const compiled = '--compile-bytecode';
  await runTool(python, ['-m', 'uv', 'pip', ...exactly, lockFile, compiled, '--python', python], settings);
}

async function findPython(): Promise<string> {
  const found: string[] = [];
  for (const name of PYTHONS) {
    const version = (await runTool(name, ['--version']).catch(() => '')).trim();
    const [major = 0, minor = 0] = (/^Python (\d+)\.(\d+)/.exec(version) ?? []).slice(1).map(Number);
    if (major === OLDEST[0] && minor >= OLDEST[1] && minor <= NEWEST[1]) return name;
    if (version !== '') found.push(`${name} is ${version}`);
  }
  throw new Error(
    `needs Python ${OLDEST.join('.')} to ${NEWEST.join('.')}${found.map((text) => `; ${text}`).join('')}`,
  );
}

/** One requirement with its hashes out of a lock file. */
function entryOf(name: string, lock: string): string {
  const found = new RegExp(`^${name}==.*(\\n +--hash=.*)+`, 'm').exec(lock);
  if (!found) throw new Error(`the lock file does not name ${name}`);
  return `${found[0]}\n`;
}

const UV_NAMES: Readonly<Record<string, string>> = {
  'index-url': 'UV_DEFAULT_INDEX',
  'extra-index-url': 'UV_INDEX',
  'find-links': 'UV_FIND_LINKS',
  'trusted-host': 'UV_INSECURE_HOST',
  cert: 'SSL_CERT_FILE',
  timeout: 'UV_HTTP_TIMEOUT',
  'default-timeout': 'UV_HTTP_TIMEOUT',
};

/** What pip is configured with, as `pip config list` prints it, in the environment variables of uv. */
export function uvSettings(pipConfig: string): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const line of pipConfig.split('\n')) {
    const [, key = '', value = ''] = /^[^=]*\.([\w-]+)='(.*)'$/.exec(line.trim()) ?? [];
    const name = UV_NAMES[key];
    if (name !== undefined) settings[name] = value.replaceAll('\\n', ' ').trim();
  }
  return settings;
}
