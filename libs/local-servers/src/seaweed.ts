import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePorts } from './free-port.js';
import { runServer } from './run-server.js';
import { findSeaweed } from './seaweed-binary.js';

export interface S3Options {
  /** Holds log and objects. */
  dir: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** 0: the last one used in this folder, else any free. @default 0 */
  port?: number;
  /** Removes `dir` when the server ends. @default false */
  ephemeral?: boolean;
  /** Where fetched binaries are kept. */
  cacheDir?: string;
  log?: (message: string) => void;
}

export interface S3Process {
  /** `http://127.0.0.1:<port>`; buckets are in the path. */
  readonly endpoint: string;
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Its parts talk to each other by HTTP and gRPC. */
const HTTP_PARTS = ['master', 'volume', 'filer', 'admin'];
const GRPC_PARTS = [...HTTP_PARTS, 's3'];
const OFF = ['webdav=false', 'admin.ui=false', 'master.telemetry=false', 's3.port.iceberg=0', 's3.port.lance=0'];

/** Starts SeaweedFS as an S3 server with objects in `dir`, listening on 127.0.0.1 only. */
export async function startS3(options: S3Options): Promise<S3Process> {
  const log = options.log ?? (() => undefined);
  const { dir, accessKeyId, secretAccessKey } = options;
  const weed = await findSeaweed({ log, ...(options.cacheDir !== undefined && { cacheDir: options.cacheDir }) });
  const data = join(dir, 'objects');
  await mkdir(data, { recursive: true });
  const note = join(dir, 'sockets.json');
  const leftovers = options.ephemeral === true ? [dir] : [];
  const running = await runServer({
    name: 'the S3 server',
    dir,
    wantedPort: options.port ?? 0,
    settings: [weed, accessKeyId, secretAccessKey],
    stopSignal: options.ephemeral === true ? 'SIGKILL' : 'SIGTERM', // its files go anyway | in order, about 2 s
    stopGraceMs: 30_000,
    readyTimeoutMs: 60_000,
    endWithParent: true,
    removeDirs: leftovers,
    log,
    command: async (port) => {
      for (const socket of await socketsIn(note)) await rm(socket, { force: true }); // of one that was killed
      const sockets: string[] = [];
      const flags = ['ip=127.0.0.1', 'ip.bind=127.0.0.1', `dir=${data}`, `s3.port=${port}`, ...OFF];
      const ports = await freePorts(HTTP_PARTS.length + GRPC_PARTS.length, [port]);
      for (const part of HTTP_PARTS) flags.push(`${part}.port=${ports.pop()}`);
      for (const part of GRPC_PARTS) {
        const grpcPort = ports.pop();
        flags.push(`${part}.port.grpc=${grpcPort}`);
        sockets.push(`/tmp/seaweedfs-${part}-grpc-${grpcPort}.sock`); // made there whatever it is told
      }
      await writeFile(note, JSON.stringify(sockets));
      if (options.ephemeral === true) leftovers.push(...sockets);
      for (const part of ['filer', 's3']) flags.push(`${part}.localSocket=${join(dir, `${part}.sock`)}`);
      return {
        file: weed,
        args: ['mini', ...flags.map((flag) => `-${flag}`)],
        cwd: dir,
        env: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, HOME: dir, TMPDIR: dir },
        logFile: join(dir, 'seaweed.log'),
      };
    },
    isReady: answers,
  });
  return {
    endpoint: `http://127.0.0.1:${running.port}`,
    port: running.port,
    pid: running.pid,
    stop: () => running.stop(),
  };
}

const answers = (port: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(1_000) }).then(
    ({ ok }) => ok,
    () => false,
  );

const socketsIn = (note: string): Promise<string[]> =>
  readFile(note, 'utf8').then(
    (text) => JSON.parse(text) as string[],
    () => [],
  );
