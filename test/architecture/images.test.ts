import { describe, expect, it } from '@jest/globals';
import { DockerfileParser } from 'dockerfile-ast';
import type { Copy, Dockerfile, From } from 'dockerfile-ast';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, matchesGlob } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
const DEPLOY = join(ROOT, 'deploy');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

const files = readdirSync(DEPLOY).filter((name) => /^Dockerfile\.[a-z-]+$/.test(name));

/** What is copied out of the repository, not from another stage. */
function copied(dockerfile: Dockerfile): string[] {
  return dockerfile
    .getCOPYs()
    .filter((copy: Copy) => copy.getFromFlag() === null)
    .flatMap((copy: Copy) =>
      copy
        .getArguments()
        .slice(0, -1)
        .map((argument) => argument.getValue()),
    );
}

/** Images that are not a stage of the file itself, of `FROM` and of `COPY --from`. */
function images(dockerfile: Dockerfile): string[] {
  const stages = new Set(dockerfile.getFROMs().map((from: From) => from.getBuildStage()));
  const named = [
    ...dockerfile.getFROMs().map((from: From) => from.getImage()),
    ...dockerfile.getCOPYs().map((copy: Copy) => copy.getFromFlag()?.getValue()),
  ];
  return named.filter((name): name is string => name != null && !stages.has(name));
}

const commands = (dockerfile: Dockerfile): string =>
  dockerfile
    .getInstructions()
    .filter((one) => one.getKeyword() === 'RUN')
    .map((one) => one.getRawArgumentsContent() ?? '')
    .join('\n');

describe.each(files)('%s', (name) => {
  const dockerfile = DockerfileParser.parse(read(`deploy/${name}`));

  it('is made of images by exact version or digest', () => {
    expect(images(dockerfile).length).toBeGreaterThan(0);
    for (const image of images(dockerfile)) expect(image).toMatch(/:\d+\.\d+\.\d+[\w.-]*$|@sha256:[0-9a-f]{64}$/);
  });

  it('runs as a user who is not root', () => {
    const last = dockerfile.getInstructions().findLast((one) => one.getKeyword() === 'USER');
    expect(last?.getRawArgumentsContent()).toMatch(/^[1-9]\d*(:[1-9]\d*)?$/);
    const finalStage = dockerfile.getFROMs().at(-1)?.getRange().start.line ?? Infinity;
    expect(last?.getRange().start.line).toBeGreaterThan(finalStage);
  });

  it('copies what the repository has, and what its ignore file lets through', () => {
    expect(copied(dockerfile).length).toBeGreaterThan(0);
    const lines = read(`deploy/${name}.dockerignore`).split('\n');
    const rules = lines.filter((line) => line !== '' && !line.startsWith('#'));
    for (const path of copied(dockerfile)) {
      expect({ path, exists: existsSync(join(ROOT, path)) }).toEqual({ path, exists: true });
      // The last rule that speaks of a path or of a folder above it decides.
      const above = path.split('/').map((_, i, parts) => parts.slice(0, i + 1).join('/'));
      const last = rules.findLast((rule) => above.some((one) => matchesGlob(one, rule.replace(/^!/, ''))));
      expect({ path, last: last?.startsWith('!') }).toEqual({ path, last: true });
    }
  });
});

describe('the image of the PyTorch runtime', () => {
  const dockerfile = DockerfileParser.parse(read('deploy/Dockerfile.runtime-torch'));
  const lock = read('services/runtime-torch/requirements.lock');
  const { packageManager, devDependencies } = JSON.parse(read('package.json')) as {
    packageManager: string;
    devDependencies: { node: string };
  };

  it('has the versions of Node, pnpm and uv that the repository has', () => {
    expect(images(dockerfile)).toContain(`node:${devDependencies.node}-bookworm-slim`);
    expect(commands(dockerfile)).toContain(`npm install --global ${packageManager}`);
    const uv = /^uv==(\S+)/m.exec(lock)?.[1];
    expect(images(dockerfile)).toContain(`ghcr.io/astral-sh/uv:${uv}`);
  });

  it('installs the lock by its hashes and nothing else, for a Python that the lock is for', () => {
    expect(copied(dockerfile)).toContain('services/runtime-torch/requirements.lock');
    const installs = commands(dockerfile).match(/pip install[^&]*/g) ?? [];
    expect(installs).toHaveLength(1);
    for (const part of ['--require-hashes', '--no-deps', '--requirement /source/requirements.lock'])
      expect(installs[0]).toContain(part);
    expect(commands(dockerfile)).toMatch(/--python \/usr\/bin\/python3\.1[123] /);
    expect(commands(dockerfile)).toContain('pnpm install --frozen-lockfile');
  });

  it('stands on the CUDA that the wheels are built for', () => {
    const wheels = /^nvidia-cuda-runtime==(\d+\.\d+)\./m.exec(lock)?.[1];
    const base = images(dockerfile).find((image) => image.startsWith('nvidia/cuda:'));
    expect(base).toMatch(new RegExp(`^nvidia/cuda:${wheels?.replace('.', '\\.')}\\.\\d+-base-`));
  });

  it('has the programs where the reference says that profiles name them', () => {
    const example = /```json\n([^`]*luthier-runtime-torch[^`]*)```/.exec(
      read('docs/reference/cluster-profile.md'),
    )?.[1];
    const profile = JSON.parse(example ?? '{}') as { command: string[]; runtimeCommand: string[] };
    expect(profile.command).toEqual(['node', '/luthier/services/runner/dist/main.js']);
    const last = dockerfile.getCMDs().at(-1)?.getRawArgumentsContent() ?? '';
    expect(JSON.parse(last)).toEqual([...profile.runtimeCommand, 'capabilities']);
  });
});
