import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ensureImageReaders } from '@luthier/testing/kube';

const run = promisify(execFile);
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const READ_TIMEOUT_MS = 60_000;

/** An instruction as BuildKit reads it; what is filled in depends on its keyword (tools/dockerfile). */
export interface Instruction {
  keyword: string;
  line: number;
  sources?: readonly { path: string; files: readonly string[] }[];
  from?: string;
  to?: string;
  command?: readonly string[];
  shell?: boolean;
  values?: Readonly<Record<string, string>>;
  value?: string;
}

export interface Stage {
  /** Empty: it has none. */
  name: string;
  base: string;
  instructions: readonly Instruction[];
}

export interface Dockerfile {
  stages: readonly Stage[];
  warnings: readonly { rule: string; message: string; line: number }[];
}

/** `Dockerfile.service` and so on. */
export const DOCKERFILES = readdirSync(join(ROOT, 'deploy')).filter((name) => /^Dockerfile\.[a-z-]+$/.test(name));

/** What a program of tools/dockerfile prints. @throws Error with what it said. */
export async function readImageFile(program: 'dockerfile' | 'compose', ...args: readonly string[]): Promise<unknown> {
  const { dir, missing } = await ensureImageReaders();
  if (dir === undefined) throw new Error(`${program}: ${missing}`);
  const { stdout } = await run(join(dir, program), args, {
    cwd: ROOT,
    timeout: READ_TIMEOUT_MS,
    maxBuffer: 32 * 1024 * 1024,
  });
  return JSON.parse(stdout);
}

export const readDockerfile = async (name: string): Promise<Dockerfile> =>
  (await readImageFile('dockerfile', join('deploy', name), '.')) as Dockerfile;

/** The stages that end up in an image, from its base to `target`, the last one unless a name is given. */
export function lineageOf({ stages }: Dockerfile, target?: string): Stage[] {
  const last = target === undefined ? stages.at(-1) : stages.find(({ name }) => name === target);
  if (!last) throw new Error(`there is no stage ${target}`);
  const base = stages.find(({ name }) => name !== '' && name === last.base);
  return [...(base ? lineageOf({ stages, warnings: [] }, base.name) : []), last];
}

/** What the image is started with. */
export function configurationOf(dockerfile: Dockerfile, target?: string) {
  const all = lineageOf(dockerfile, target).flatMap(({ instructions }) => instructions);
  const last = (keyword: string) => all.findLast((one) => one.keyword === keyword);
  const valuesOf = (keyword: string): Record<string, string> =>
    Object.assign({}, ...all.filter((one) => one.keyword === keyword).map(({ values }) => values)) as Record<
      string,
      string
    >;
  return {
    user: last('USER')?.value,
    workingDir: last('WORKDIR')?.value ?? '/',
    command: [...(last('ENTRYPOINT')?.command ?? []), ...(last('CMD')?.command ?? [])],
    environment: valuesOf('ENV'),
    labels: valuesOf('LABEL'),
    arguments: valuesOf('ARG'),
  };
}

/** Images that are no stage of the file, of `FROM` and of `COPY --from`. */
export function basesOf({ stages }: Dockerfile): string[] {
  const own = new Set(stages.map(({ name }) => name));
  const named = stages.flatMap(({ base, instructions }) => [base, ...instructions.map(({ from = '' }) => from)]);
  return named.filter((name) => name !== '' && !own.has(name));
}

/** The lines of all `RUN`, or of those of one stage. */
export const commandsOf = (stages: readonly Stage[]): string[] =>
  stages.flatMap(({ instructions }) =>
    instructions.filter(({ keyword }) => keyword === 'RUN').map(({ command = [] }) => command.join(' ')),
  );

/** What is copied out of the repository, not from another stage. */
export const copiedFrom = (stages: readonly Stage[]) =>
  stages.flatMap(({ instructions }) =>
    instructions
      .filter(({ keyword, from }) => keyword === 'COPY' && (from ?? '') === '')
      .flatMap(({ sources = [] }) => sources),
  );
