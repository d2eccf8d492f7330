import { beforeAll, describe, expect, it } from '@jest/globals';
import { tempDir } from '@luthier/testing';
import { canRunHelm } from '@luthier/testing/kube';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from './support/dockerfile.js';
import { render } from './support/helm.js';

const run = promisify(execFile);
const REGISTRY = 'registry.example:5000';
const DIGEST = `sha256:${'ab'.repeat(32)}`;

/** Stands in for a container engine, which is on no machine of the tests: writes down what it is asked to do. */
const ENGINE = `#!/bin/sh
echo "$*" >>"$0.log"
[ "$1" != image ] || echo "[\\"elsewhere.example/other@sha256:0\\",\\"$(echo "$5" | sed 's/:[^:]*$//')@${DIGEST}\\"]"
`;

const withHelm = (await canRunHelm()) ? it : it.skip;

describe('scripts/images.mjs', () => {
  let engine: string;
  let asked: string[];
  let values: string;

  const images = async (...args: readonly string[]): Promise<string> =>
    (await run(process.execPath, [join(ROOT, 'scripts/images.mjs'), '--engine', engine, ...args], { timeout: 60_000 }))
      .stdout;

  beforeAll(async () => {
    const dir = await tempDir('image-list');
    engine = join(dir, 'engine');
    await writeFile(engine, ENGINE, { mode: 0o755 });
    values = join(dir, 'images.yaml');
    await writeFile(values, await images('--registry', REGISTRY, '--version', '1.2.3', '--push'));
    asked = (await readFile(`${engine}.log`, 'utf8')).trim().split('\n');
  });

  it('builds and pushes every image of the reference, by a Dockerfile that there is', async () => {
    const reference = await readFile(join(ROOT, 'docs/reference/images.md'), 'utf8');
    const rows = [...reference.matchAll(/^\| `([a-z-]+)` +\| `(Dockerfile[a-z.-]+)`/gm)].map(([, name, file]) => ({
      name,
      file,
    }));
    expect(rows.length).toBeGreaterThan(0);
    const builds = asked.filter((line) => line.startsWith('build '));
    expect(
      builds.map((line) => / --file deploy\/(\S+) .*\/luthier\/([a-z-]+):/.exec(line)?.slice(1)).toSorted(),
    ).toEqual(rows.map(({ name, file }) => [file, name]).toSorted());
    for (const { file } of rows) expect(existsSync(join(ROOT, 'deploy', file ?? ''))).toBe(true);
    const pushed = asked.filter((line) => line.startsWith('push '));
    expect(pushed.toSorted()).toEqual(rows.map(({ name }) => `push ${REGISTRY}/luthier/${name}:1.2.3`).toSorted());
  });

  it('makes what is asked for alone, and refuses an image that there is not', async () => {
    await writeFile(`${engine}.log`, '');
    expect(await images('--only', 'web')).toBe(`image: { registry: '', tag: '${await repositoryVersion()}' }\n`);
    expect((await readFile(`${engine}.log`, 'utf8')).match(/^\w+/gm)).toEqual(['build']);
    await expect(images('--only', 'webb')).rejects.toThrow(/there is no image webb/);
  });

  withHelm('prints values with which the chart takes just those images, runtimes by their digest', async () => {
    const text = JSON.stringify(await render('minimal', '--values', values));
    const named = [...text.matchAll(new RegExp(`${REGISTRY}/luthier/([a-z-]+)([:@][\\w:.]+)`, 'g'))];
    const found = new Map(named.map(([, name, version]) => [name, version]));
    for (const name of ['gateway', 'web', 'cli', 'inference'])
      expect([name, found.get(name)]).toEqual([name, ':1.2.3']);
    expect(found.get('runtime-node')).toBe(`@${DIGEST}`);
  });
});

async function repositoryVersion(): Promise<string> {
  return (JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version;
}
