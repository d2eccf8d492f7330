import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SERVICES } from '@luthier/contracts';
import { natsPermissions, natsServerConfig } from '@luthier/messaging';
import { startNats, startPostgres, steadyPort, tempDir, waitFor } from '@luthier/testing';
import type { TestNats, TestPostgres } from '@luthier/testing';
import { canReadImages, canRunPodProcesses } from '@luthier/testing/kube';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildImages } from './support/built-images.js';
import type { BuiltImage } from './support/built-images.js';
import { ROOT } from './support/dockerfile.js';
import { ImageContainer } from './support/image-container.js';

const IMAGES = [...SERVICES, 'cli'];
const PASSWORD = 'of-the-test';
/** Packages grow with each version; nearly half as much again is something that was dragged in. */
const SIZE_TOLERANCE = 0.4;
const BUILD_TIMEOUT_MS = 15 * 60_000;
const TIMEOUT_MS = 5 * 60_000;

const reference = await readFile(join(ROOT, 'docs/reference/images.md'), 'utf8');
const withImages = (await canReadImages()) && (await canRunPodProcesses()) ? describe : describe.skip;

withImages('an image, started from what its Dockerfile builds, read-only, as a user that nobody knows', () => {
  const running = new Set<ImageContainer>();
  let built: Map<string, BuiltImage>;
  let nats: TestNats;
  let postgres: TestPostgres;
  let databaseUrl: string;

  beforeAll(async () => {
    const dir = await tempDir('images');
    [built] = await Promise.all([buildImages(dir, IMAGES), startServers()]);
  }, BUILD_TIMEOUT_MS);

  async function startServers(): Promise<void> {
    const users = SERVICES.map((user) => ({ user, password: PASSWORD, permissions: natsPermissions(user) }));
    const configuration = natsServerConfig([...users, { user: 'admin', password: PASSWORD }]);
    nats = await startNats({ configuration });
    postgres = await startPostgres();
    databaseUrl = (await postgres.createDatabase()).url;
  }

  afterAll(async () => {
    for (const container of running) container.kill();
    await Promise.all([...running].map(({ ended }) => ended));
    await nats?.stop();
    await postgres?.stop();
  });

  const image = (name: string): BuiltImage => {
    const found = built.get(name);
    if (!found) throw new Error(`${name} was not built`);
    return found;
  };

  interface Started {
    environment?: Readonly<Record<string, string>>;
    /** In place of the image's own. */
    command?: readonly string[];
    args?: readonly string[];
  }

  async function start(name: string, { environment, command, args = [] }: Started = {}): Promise<ImageContainer> {
    const { configuration, folders } = image(name);
    const dir = await tempDir(`image-${name}`);
    const container = await ImageContainer.start({
      dir,
      command: [...(command ?? configuration.command), ...args],
      environment: { ...configuration.environment, ...environment },
      workingDir: configuration.workingDir,
      image: folders,
      // Those that are all of /luthier write to /tmp alone.
      volumes: folders['/luthier'] === undefined ? await volumesIn(dir) : {},
    });
    running.add(container);
    void container.ended.finally(() => running.delete(container)).catch(() => undefined);
    return container;
  }

  async function volumesIn(dir: string): Promise<Record<string, string>> {
    const volumes: Record<string, string> = {};
    for (const name of ['work', 'artifacts']) {
      const folder = join(dir, name);
      await mkdir(folder);
      await chmod(folder, 0o777);
      volumes[`/luthier/${name}`] = folder;
    }
    return volumes;
  }

  /** What it printed. @throws Error with that, when it does not end well. */
  async function run(name: string, started: Started = {}): Promise<string> {
    const container = await start(name, started);
    if ((await container.ended) !== 0) throw new Error(container.said);
    return container.said;
  }

  /** 200 as soon as it answers so; what the container said when it has ended before. */
  const answerOf = (url: string, container: ImageContainer): Promise<number | string> =>
    waitFor(
      async () => {
        if (!running.has(container)) return container.said || 'it has ended';
        const { status } = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(10_000) });
        return status === 200 ? status : undefined;
      },
      { timeoutMs: TIMEOUT_MS / 2, intervalMs: 100, what: url },
    );

  it(
    'cli: says its version, makes the streams, and says what it is not',
    async () => {
      const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
      const provision = ['provision', '--nats', nats.url, '--user', 'admin', '--password', PASSWORD];
      const platform = run('cli', { args: ['start'] });
      await expect(platform).rejects.toThrow('The platform itself is not part of this installation');
      expect(await run('cli', { args: ['--version'] })).toBe(`${version}\n`);
      expect(await run('cli', { args: provision })).toMatch(/^created LUTHIER_EVENTS$/m);
    },
    TIMEOUT_MS,
  );

  const environmentOf = (service: string, port: number): Record<string, string> => ({
    ...{ LUTHIER_NATS_URL: nats.url, LUTHIER_NATS_USER: service, LUTHIER_NATS_PASSWORD: PASSWORD },
    ...{ LUTHIER_DATABASE_URL: databaseUrl, LUTHIER_ARTIFACTS: 'file:///luthier/artifacts' },
    ...{ LUTHIER_WORK_DIR: '/luthier/work', LUTHIER_HTTP_PORT: String(port) },
  });

  it(
    'every service: is alive and ready, and ends in order',
    async () => {
      const states = await Promise.all(
        SERVICES.map(async (service) => {
          const port = await steadyPort();
          const container = await start(service, { environment: environmentOf(service, port) });
          const healthz = await answerOf(`http://127.0.0.1:${port}/healthz`, container);
          const readyz = await answerOf(`http://127.0.0.1:${port}/readyz`, container);
          return { service, healthz, readyz, container };
        }),
      );
      const seen = await Promise.all(
        states.map(async ({ container, ...state }) => ({ ...state, exitCode: await container.stop() })),
      );
      expect(seen).toEqual(SERVICES.map((service) => ({ service, healthz: 200, readyz: 200, exitCode: 0 })));
    },
    TIMEOUT_MS,
  );

  it(
    'trainer-torch: is ready to make runs its processes, by the runner that lies beside it',
    async () => {
      const port = await steadyPort();
      const container = await start('trainer-torch', { environment: environmentOf('trainer', port) });
      expect(await answerOf(`http://127.0.0.1:${port}/readyz`, container)).toBe(200);
      await container.stop();
      const settings = await run('trainer-torch', {
        environment: environmentOf('trainer', 0),
        args: ['--print-config'],
      });
      const runner = /^LUTHIER_TRAINER_RUNNER_COMMAND=.*"([^"]+)"\]$/m.exec(settings)?.[1] ?? '';
      expect(runner).toBe('/luthier/services/runner/dist/main.js');
      await run('trainer-torch', { command: ['node', '--check', runner] });
    },
    TIMEOUT_MS,
  );

  it(
    'inference: loads the programs of llama.cpp that it brings',
    async () => {
      // A file: llama.cpp is tried in a process of its own first, which inherits the arguments of Node.
      await writeFile(
        join(image('inference').folders['/luthier/app'] ?? '', 'load.mjs'),
        `import { getLlama } from 'node-llama-cpp';
         const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true });
         console.log(llama.systemInfo);
         await llama.dispose();`,
      );
      expect(await run('inference', { command: ['node', 'load.mjs'] })).toMatch(/CPU : /);
    },
    TIMEOUT_MS,
  );

  it(
    'web: serves the page of sign-in without writing to its folder',
    async () => {
      const port = await steadyPort();
      const container = await start('web', { environment: { PORT: String(port), HOSTNAME: '127.0.0.1' } });
      expect(await answerOf(`http://127.0.0.1:${port}/sign-in`, container)).toBe(200);
      await container.stop();
      expect(container.said).not.toMatch(/EROFS|EACCES/);
    },
    TIMEOUT_MS,
  );

  it(
    'runtime-node: says that it can train',
    async () => {
      const said = JSON.parse(await run('runtime-node')) as { runtime: string; engines: { usable: boolean }[] };
      expect(said.runtime).toBe('runtime-node');
      expect(said.engines.map(({ usable }) => usable)).toEqual([true]);
    },
    TIMEOUT_MS,
  );

  it.each([...IMAGES, 'web', 'runtime-node'])('%s: is about as large as the reference says', (name) => {
    const row = new RegExp(`^\\| \`${name}\` +\\| \`Dockerfile[^|]+\\| +(\\d+) `, 'm').exec(reference);
    const [documented, sizeMib] = [Number(row?.[1]), Math.round(image(name).sizeMib)];
    const near = Math.abs(sizeMib - documented) <= documented * SIZE_TOLERANCE;
    expect({ documented, sizeMib, near }).toEqual({ documented, sizeMib, near: true });
  });
});
