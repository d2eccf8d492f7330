import { createWriteStream } from 'node:fs';
import type { WriteStream } from 'node:fs';
import { join } from 'node:path';
import { SERVICES } from '@luthier/contracts';
import { NATS_SERVER_VERSION, findNatsServer, startNats, startPostgres } from '@luthier/local-servers';
import type { NatsProcess, PostgresProcess } from '@luthier/local-servers';
import { connectNats, natsPermissions, natsServerConfig, provision } from '@luthier/messaging';
import type { RunningService } from '@luthier/service-kit';
import { openHome } from './home.js';
import type { Home } from './home.js';
import { childPath } from './installation.config.js';
import { startServices, stopServices, webEntry } from './services.js';
import { loadStandaloneConfig } from './standalone.config.js';
import type { StandaloneConfig } from './standalone.config.js';
import { SupervisedServer } from './supervised-server.js';
import type { LocalServer } from './supervised-server.js';
import { startWebServer, webIsBuilt } from './web-server.js';

/** A URL does not say it. */
const HTTP_PORT = 80;

export interface Platform {
  /** Address of dashboard and API. */
  readonly url: string;
  /** File with the key that signs in. */
  readonly apiKeyFile: string;
  readonly home: string;
  /** Ends everything in order; runs save a checkpoint first. */
  stop(): Promise<void>;
}

export interface PlatformOptions extends Partial<StandaloneConfig> {
  /** Told of what a person should know (another port, a server taken over). */
  say?: (line: string) => void;
  /** Aborted while the platform starts: what was started is stopped again, and `startPlatform` rejects with its reason. */
  signal?: AbortSignal;
  /** Wraps the stages of the start, for whoever shows them; `work` answers the sentence that ends the stage. */
  stage?: (name: string, title: string, work: () => Promise<string>) => Promise<void>;
}

/** Starts the whole platform in this process, with NATS, Postgres and the dashboard's server as children. */
export async function startPlatform(options: PlatformOptions = {}): Promise<Platform> {
  const say = options.say ?? (() => undefined);
  const stage = options.stage ?? (async (_name, _title, work) => void (await work()));
  const config = loadStandaloneConfig(options);
  const home = await openHome(config.home);
  const opened: Opened = {};
  try {
    await stage('tools', 'tools ready', async () => {
      const nats = await findNatsServer({ log: say });
      options.signal?.throwIfAborted();
      return `nats-server ${NATS_SERVER_VERSION} (${nats.source}), Postgres 18 (npm package)`;
    });
    await stage('platform', 'platform up', async () => {
      await open(config, home, opened, { say, signal: options.signal });
      options.signal?.throwIfAborted();
      return `${opened.url ?? ''}`;
    });
  } catch (cause) {
    await close(opened).catch(() => undefined); // why it could not start matters more
    throw cause;
  }
  return { url: opened.url ?? '', apiKeyFile: join(home.dir, 'api-key'), home: home.dir, stop: () => close(opened) };
}

interface Opened {
  nats?: SupervisedServer<NatsProcess>;
  postgres?: SupervisedServer<PostgresProcess>;
  web?: SupervisedServer<LocalServer>;
  services?: RunningService[];
  logStream?: WriteStream;
  url?: string;
}

async function open(
  config: StandaloneConfig,
  home: Home,
  opened: Opened,
  { say, signal }: { say: (line: string) => void; signal: AbortSignal | undefined },
): Promise<void> {
  // Noted as they come, and all of them waited for: when one cannot start, the others are stopped again.
  const started = await Promise.allSettled([
    SupervisedServer.start('nats-server', (port) => startProvisionedNats(home, port, say), say).then(
      (server) => (opened.nats = server),
    ),
    SupervisedServer.start('postgres', (port) => startPostgres({ dir: home.postgres, port, log: say }), say).then(
      (server) => (opened.postgres = server),
    ),
    openWeb(home, say).then((server) => server && (opened.web = server)),
  ]);
  for (const one of started) if (one.status === 'rejected') throw one.reason;
  signal?.throwIfAborted();
  const { nats, postgres, web } = opened;
  if (!nats || !postgres) throw new Error('the servers did not start');
  const databaseUrl = await postgres.current.createDatabase('luthier');
  opened.logStream = openLog(home, say);
  const { services, gateway } = await startServices({
    config,
    home,
    databaseUrl,
    natsUrl: nats.current.url,
    webUrl: web && `http://127.0.0.1:${web.current.port}`,
    logStream: opened.logStream,
  });
  opened.services = services;
  opened.url = gateway.url;
  const port = Number(new URL(gateway.url).port || HTTP_PORT);
  if (config.port !== 0 && port !== config.port) say(`port ${config.port} is in use: the platform takes ${port}`);
}

/** A log that cannot be written (a full disk) is said once and ends nothing. */
function openLog(home: Home, say: (line: string) => void): WriteStream {
  const stream = createWriteStream(join(home.logs, 'platform.log'), { flags: 'a', mode: 0o600 });
  stream.on('error', (cause) => say(`the log cannot be written: ${cause.message}`));
  return stream;
}

/** A server whose streams are there, also after its files were lost. */
async function startProvisionedNats(home: Home, port: number, say: (line: string) => void): Promise<NatsProcess> {
  const users = SERVICES.map((user) => ({
    user,
    password: home.secrets.nats[user] ?? '',
    permissions: natsPermissions(user),
  }));
  const admin = { user: 'admin', password: home.secrets.nats['admin'] ?? '' };
  const server = await startNats({
    dir: home.nats,
    port,
    configuration: natsServerConfig([...users, admin]),
    log: say,
  });
  try {
    const connection = await connectNats({
      servers: server.url,
      name: 'standalone',
      user: admin.user,
      pass: admin.password,
    });
    await provision(connection).finally(() => connection.close());
    return server;
  } catch (cause) {
    await server.stop();
    throw cause;
  }
}

async function openWeb(home: Home, say: (line: string) => void): Promise<SupervisedServer<LocalServer> | undefined> {
  const entry = webEntry();
  if (!webIsBuilt(entry)) {
    say('the dashboard is not built, so there is the API only (npm start builds it)');
    return undefined;
  }
  const options = { entry, logFile: join(home.logs, 'web.log'), path: childPath() };
  return SupervisedServer.start('dashboard', (port) => startWebServer({ ...options, port }), say);
}

/** Ends everything that was opened, whatever fails on the way; tells the first failure. */
async function close(opened: Opened): Promise<void> {
  const services = await Promise.allSettled([stopServices(opened.services ?? [])]);
  const servers = await Promise.allSettled([opened.web?.stop(), opened.nats?.stop(), opened.postgres?.stop()]);
  opened.logStream?.end();
  for (const one of [...services, ...servers]) if (one.status === 'rejected') throw one.reason;
}
