import { mkdir, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { findNatsServer } from './nats-binary.js';
import { runServer } from './run-server.js';

export interface NatsOptions {
  /** Holds configuration, log and the streams. */
  dir: string;
  /** 0: the last one used in this folder, else any free. A taken port is replaced by another, with a message. @default 0 */
  port?: number;
  /** An `authorization { … }` block, or any other lines of nats-server's configuration. */
  configuration?: string;
  /** Largest message. @default 4 MiB */
  maxPayloadBytes?: number;
  /** Ends when this process is gone. @default true */
  endWithParent?: boolean;
  /** Removes `dir` when the server ends. @default false */
  ephemeral?: boolean;
  /** Where fetched binaries are kept. */
  cacheDir?: string;
  log?: (message: string) => void;
}

export interface NatsProcess {
  /** `nats://127.0.0.1:<port>` */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Where the binary came from. */
  readonly binarySource: string;
  readonly takenOver: boolean;
  stop(): Promise<void>;
}

/** Starts nats-server with JetStream in `dir`, listening on 127.0.0.1 only. */
export async function startNats(options: NatsOptions): Promise<NatsProcess> {
  const log = options.log ?? (() => undefined);
  const { path, source } = await findNatsServer({
    log,
    ...(options.cacheDir !== undefined && { cacheDir: options.cacheDir }),
  });
  await mkdir(options.dir, { recursive: true });
  const configFile = join(options.dir, 'nats.conf');
  const running = await runServer({
    name: 'nats-server',
    dir: options.dir,
    wantedPort: options.port ?? 0,
    settings: [path, options.configuration ?? '', options.maxPayloadBytes ?? null],
    stopSignal: options.ephemeral === true ? 'SIGKILL' : 'SIGTERM', // its files go anyway | in order, about 0.5 s
    stopGraceMs: 10_000,
    readyTimeoutMs: 20_000,
    endWithParent: options.endWithParent ?? true,
    removeDirs: options.ephemeral === true ? [options.dir] : [],
    log,
    command: async (port) => {
      await writeFile(configFile, natsConfiguration(options, port), { mode: 0o600 });
      return { file: path, args: ['-c', configFile], cwd: options.dir, logFile: join(options.dir, 'nats.log') };
    },
    isReady: greets,
  });
  return {
    url: `nats://127.0.0.1:${running.port}`,
    port: running.port,
    pid: running.pid,
    binarySource: source,
    takenOver: running.takenOver,
    stop: () => running.stop(),
  };
}

function natsConfiguration(options: NatsOptions, port: number): string {
  return [
    `listen: "127.0.0.1:${port}"`,
    'server_name: luthier',
    `max_payload: ${options.maxPayloadBytes ?? 4 * 1024 * 1024}`,
    'jetstream {',
    `  store_dir: ${JSON.stringify(join(options.dir, 'jetstream'))}`,
    '  max_memory_store: 64MB',
    '  max_file_store: 8GB',
    '}',
    options.configuration ?? '',
    '',
  ].join('\n');
}

/** nats-server greets with `INFO {…}` once it serves. */
function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port, timeout: 1_000 });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('data', (data) => end(data.toString('latin1').startsWith('INFO ')));
    socket.once('error', () => end(false));
    socket.once('timeout', () => end(false));
    socket.once('close', () => end(false));
  });
}
