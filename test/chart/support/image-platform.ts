import { chmod, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SERVICES } from '@luthier/contracts';
import { natsPermissions, natsServerConfig } from '@luthier/messaging';
import { startNats, startPostgres, steadyPort, tempDir, waitFor } from '@luthier/testing';
import type { TestNats, TestPostgres } from '@luthier/testing';
import { buildImages } from './built-images.js';
import type { BuiltImage } from './built-images.js';
import { ImageContainer } from './image-container.js';

const PASSWORD = 'of-the-test';
const ANSWER_TIMEOUT_MS = 150_000;

export interface Started {
  environment?: Readonly<Record<string, string>>;
  /** In place of the image's own. */
  command?: readonly string[];
  args?: readonly string[];
  /** Folders of other images that are mounted besides: path in the container -> folder of this machine. */
  mounts?: Readonly<Record<string, string>>;
}

/** A container that answers over HTTP. */
export interface Answering {
  container: ImageContainer;
  url: string;
  /** Its work folder, on this machine. */
  work: string;
}

/** NATS with the users of an installation, Postgres, and containers of images that were built for the tests. */
export class ImagePlatform {
  private readonly running = new Set<ImageContainer>();

  private constructor(
    private readonly parts: { dir: string; images: Map<string, BuiltImage>; nats: TestNats; postgres: TestPostgres },
    private readonly databaseUrl: string,
  ) {}

  /** @param services what is built of `Dockerfile.service`. */
  static async start(services: readonly string[]): Promise<ImagePlatform> {
    const dir = await tempDir('images');
    const users = SERVICES.map((user) => ({ user, password: PASSWORD, permissions: natsPermissions(user) }));
    const configuration = natsServerConfig([...users, { user: 'admin', password: PASSWORD }]);
    const [images, nats, postgres] = await Promise.all([
      buildImages(dir, services),
      startNats({ configuration }),
      startPostgres(),
    ]);
    await openFolder(join(dir, 'artifacts'));
    return new ImagePlatform({ dir, images, nats, postgres }, (await postgres.createDatabase()).url);
  }

  image(name: string): BuiltImage {
    const found = this.parts.images.get(name);
    if (!found) throw new Error(`${name} was not built`);
    return found;
  }

  /** What the command line needs to make streams. */
  get provision(): string[] {
    return ['provision', '--nats', this.parts.nats.url, '--user', 'admin', '--password', PASSWORD];
  }

  /** What the process printed. @throws Error with that, when it does not end well. */
  async run(name: string, started: Started = {}): Promise<string> {
    const { container } = await this.startContainer(name, started);
    if ((await container.ended) !== 0) throw new Error(container.said);
    return container.said;
  }

  /** Starts `image` as a service with all that an installation gives it. */
  async startService(service: string, image = service, { environment, ...more }: Started = {}): Promise<Answering> {
    const port = await steadyPort();
    const started = await this.startContainer(image, {
      ...more,
      environment: { ...this.environmentOf(service), LUTHIER_HTTP_PORT: String(port), ...environment },
    });
    return { ...started, url: `http://127.0.0.1:${port}` };
  }

  async startWeb(): Promise<Answering> {
    const port = await steadyPort();
    const started = await this.startContainer('web', { environment: { PORT: String(port), HOSTNAME: '127.0.0.1' } });
    return { ...started, url: `http://127.0.0.1:${port}` };
  }

  environmentOf(service: string): Record<string, string> {
    return {
      ...{ LUTHIER_NATS_URL: this.parts.nats.url, LUTHIER_NATS_USER: service, LUTHIER_NATS_PASSWORD: PASSWORD },
      ...{ LUTHIER_DATABASE_URL: this.databaseUrl, LUTHIER_ARTIFACTS: 'file:///luthier/artifacts' },
      LUTHIER_WORK_DIR: '/luthier/work',
    };
  }

  /** 200 as soon as it answers so; what the container said when it has ended before. */
  answerOf({ container, url }: Answering, path: string): Promise<number | string> {
    return waitFor(
      async () => {
        if (!this.running.has(container)) return container.said || 'it has ended';
        const { status } = await fetch(url + path, { redirect: 'manual', signal: AbortSignal.timeout(10_000) });
        return status === 200 ? status : undefined;
      },
      { timeoutMs: ANSWER_TIMEOUT_MS, intervalMs: 100, what: url + path },
    );
  }

  async stop(): Promise<void> {
    for (const container of this.running) container.kill();
    await Promise.all([...this.running].map(({ ended }) => ended));
    await this.parts.nats.stop();
    await this.parts.postgres.stop();
  }

  private async startContainer(name: string, started: Started): Promise<Omit<Answering, 'url'>> {
    const { environment, command, args = [], mounts } = started;
    const { configuration, folders } = this.image(name);
    const dir = await tempDir(`image-${name}`);
    const work = await openFolder(join(dir, 'work'));
    const volumes = { '/luthier/work': work, '/luthier/artifacts': join(this.parts.dir, 'artifacts') };
    const container = await ImageContainer.start({
      dir,
      command: [...(command ?? configuration.command), ...args],
      environment: { ...configuration.environment, ...environment },
      workingDir: configuration.workingDir,
      image: { ...folders, ...mounts },
      // Those that are all of /luthier write to /tmp alone.
      volumes: folders['/luthier'] === undefined ? volumes : {},
    });
    this.running.add(container);
    void container.ended.finally(() => this.running.delete(container)).catch(() => undefined);
    return { container, work };
  }
}

/** Written by the gateway at its first start. */
export const apiKeyOf = async ({ work }: Answering): Promise<string> =>
  (await readFile(join(work, 'api-key'), 'utf8')).trim();

/** A new folder that everybody may write to. */
async function openFolder(path: string): Promise<string> {
  await mkdir(path);
  await chmod(path, 0o777);
  return path;
}
