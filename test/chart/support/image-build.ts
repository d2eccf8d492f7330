import { spawn } from 'node:child_process';
import { cp, lstat, mkdir, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ROOT } from './dockerfile.js';
import type { Instruction, Stage } from './dockerfile.js';

const BINARIES = join(ROOT, 'node_modules/.bin');
const STEP_TIMEOUT_MS = 10 * 60_000;
const MIB = 1024 ** 2;

/** Where a build stage of a Dockerfile is carried out: its /source and its /luthier are folders of this machine. */
export interface BuildPlace {
  source: string;
  luthier: string;
  /** From pnpm's store alone, which is quicker than asking the registry. */
  offline: boolean;
}

/** The store is not enough: something has to be fetched. */
export class StoreLacks extends Error {
  override readonly name = 'StoreLacks';
}

/** The files that a stage copies out of the repository, where it copies them to. */
export async function copyContext(stage: Stage, { source }: BuildPlace): Promise<void> {
  for (const { to = '', sources = [] } of stage.instructions.filter(
    ({ keyword, from = '' }) => keyword === 'COPY' && from === '',
  ))
    for (const { path, files } of sources) {
      // A folder is copied by what is in it, a file by its name.
      const isFile = files.length === 1 && files[0] === path;
      for (const file of files) {
        const target = join(source, to, isFile ? basename(file) : file.slice(path.length + 1));
        await mkdir(dirname(target), { recursive: true });
        await cp(join(ROOT, file), target);
      }
    }
}

/** A stage's own commands, without the one that installs pnpm: here it is the pinned one of the repository. */
export const stepsOf = ({ instructions }: Stage): Instruction[] =>
  instructions.filter(
    ({ keyword, command = [] }) => keyword === 'RUN' && !/^npm install --global pnpm@/.test(command.join(' ')),
  );

/** Carries out one `RUN`. @throws StoreLacks, or Error with the end of what it said. */
export async function runStep(
  { command = [], line }: Instruction,
  { source, luthier, offline }: BuildPlace,
  args: Readonly<Record<string, string>> = {},
): Promise<void> {
  const text = command.join(' ').replaceAll('/luthier', luthier);
  const env = { ...environment(), ...args, ...(offline && { pnpm_config_offline: 'true' }) };
  const failure = await shell(text, source, env);
  if (failure === undefined) return;
  if (failure.includes('ERR_PNPM_NO_OFFLINE')) throw new StoreLacks(failure);
  throw new Error(`line ${line}: ${text}\n${failure}`);
}

/** @returns how it ended and the end of what it said; undefined when it ended well. */
async function shell(text: string, cwd: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const child = spawn('/bin/sh', ['-c', text], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: STEP_TIMEOUT_MS,
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4_000)));
  const end = await new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal));
  });
  return end === 0 ? undefined : `ended with ${end}:\n${said}`;
}

function environment(): NodeJS.ProcessEnv {
  const { PATH, HOME, XDG_DATA_HOME, XDG_CACHE_HOME } = process.env;
  return { PATH: `${BINARIES}:${PATH}`, HOME, XDG_DATA_HOME, XDG_CACHE_HOME, CI: 'true' };
}

/** What a folder's files take, links not followed. */
export async function sizeMib(dir: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) bytes += (await lstat(join(entry.parentPath, entry.name))).size;
  return bytes / MIB;
}
