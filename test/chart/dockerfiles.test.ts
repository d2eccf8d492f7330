import { beforeAll, describe, expect, it } from '@jest/globals';
import { canReadImages } from '@luthier/testing/kube';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  DOCKERFILES,
  ROOT,
  basesOf,
  commandsOf,
  configurationOf,
  copiedFrom,
  lineageOf,
  readDockerfile,
} from './support/dockerfile.js';
import type { Dockerfile } from './support/dockerfile.js';

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const { packageManager, version, license, devDependencies } = JSON.parse(read('package.json')) as {
  packageManager: string;
  version: string;
  license: string;
  devDependencies: { node: string };
};

const withReader = (await canReadImages()) ? describe : describe.skip;

withReader.each(DOCKERFILES)('%s', (name) => {
  let dockerfile: Dockerfile;
  beforeAll(async () => {
    dockerfile = await readDockerfile(name);
  });

  it("is one that BuildKit's linter has nothing to say about", () => {
    expect(dockerfile.warnings).toEqual([]);
  });

  it('is made of images by exact version or digest, and of nothing fetched by ADD', () => {
    expect(basesOf(dockerfile).length).toBeGreaterThan(0);
    for (const image of basesOf(dockerfile)) expect(image).toMatch(/:\d+\.\d+\.\d+[\w.-]*$|@sha256:[0-9a-f]{64}$/);
    const keywords = dockerfile.stages.flatMap(({ instructions }) => instructions.map(({ keyword }) => keyword));
    expect(keywords).not.toContain('ADD');
  });

  it('has the versions of Node and pnpm that the repository has', () => {
    expect(basesOf(dockerfile)).toContain(`node:${devDependencies.node}-bookworm-slim`);
    expect(commandsOf(dockerfile.stages)).toContain(`npm install --global ${packageManager}`);
    expect(commandsOf(dockerfile.stages).join('\n')).toContain('pnpm install --frozen-lockfile');
  });

  it('runs as a user who is not root, without a shell, and leaves behind what only builds', () => {
    const { user, command } = configurationOf(dockerfile);
    expect(user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    expect(command.length).toBeGreaterThan(0);
    const image = lineageOf(dockerfile);
    for (const { shell } of image
      .flatMap(({ instructions }) => instructions)
      .filter(({ keyword }) => /CMD|ENTRYPOINT/.test(keyword)))
      expect(shell).toBeUndefined();
    expect(copiedFrom(image)).toEqual([]);
  });

  it('says what it is, of which version, under which licence', () => {
    const { labels, arguments: given } = configurationOf(dockerfile);
    expect(given['VERSION']).toBe(version);
    expect(labels).toEqual({
      'org.opencontainers.image.title': expect.stringMatching(/^luthier\//),
      'org.opencontainers.image.version': '${VERSION}',
      'org.opencontainers.image.licenses': license,
    });
  });

  it('copies what the repository has and its ignore file lets through, and nothing that is built or only tests', () => {
    const sources = copiedFrom(dockerfile.stages);
    expect(sources.length).toBeGreaterThan(0);
    for (const { path, files } of sources) expect({ path, copied: files.length > 0 }).toEqual({ path, copied: true });
    const unwanted = /(^|\/)(node_modules|dist|\.next|\.turbo|__pycache__)\/|\.test\.tsx?$/;
    expect(sources.flatMap(({ files }) => files).filter((file) => unwanted.test(file))).toEqual([]);
  });
});

withReader('the image of the PyTorch runtime', () => {
  const lock = read('services/runtime-torch/requirements.lock');
  let dockerfile: Dockerfile;
  let commands: string;
  beforeAll(async () => {
    dockerfile = await readDockerfile('Dockerfile.runtime-torch');
    commands = commandsOf(dockerfile.stages).join('\n');
  });

  it('has the version of uv that the lock has', () => {
    const uv = /^uv==(\S+)/m.exec(lock)?.[1];
    expect(basesOf(dockerfile)).toContain(`ghcr.io/astral-sh/uv:${uv}`);
  });

  it('installs the lock by its hashes and nothing else, for a Python that the lock is for', () => {
    expect(copiedFrom(dockerfile.stages).map(({ path }) => path)).toContain('services/runtime-torch/requirements.lock');
    const installs = commands.match(/uv pip install[^&]*/g) ?? [];
    expect(installs).toHaveLength(1);
    for (const part of ['--require-hashes', '--no-deps', '--requirement /source/requirements.lock'])
      expect(installs[0]).toContain(part);
    expect(commands).toMatch(/--python \/usr\/bin\/python3\.1[123] /);
  });

  it('stands on the CUDA that the wheels are built for', () => {
    const wheels = /^nvidia-cuda-runtime==(\d+\.\d+)\./m.exec(lock)?.[1];
    const base = basesOf(dockerfile).find((image) => image.startsWith('nvidia/cuda:'));
    expect(base).toMatch(new RegExp(`^nvidia/cuda:${wheels?.replace('.', '\\.')}\\.\\d+-base-`));
  });

  it('has the programs where the reference says that profiles name them', () => {
    const example = /```json\n([^`]*luthier\/runtime-torch[^`]*)```/.exec(
      read('docs/reference/cluster-profile.md'),
    )?.[1];
    const profile = JSON.parse(example ?? '{}') as { command: string[]; runtimeCommand: string[] };
    expect(profile.command).toEqual(['node', '/luthier/services/runner/dist/main.js']);
    expect(configurationOf(dockerfile).command).toEqual([...profile.runtimeCommand, 'capabilities']);
  });
});
