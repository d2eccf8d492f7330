import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { postgresAccount, privateFolder, reachablePlace } from './postgres-account.js';
import type { Account } from './postgres-account.js';
import { postgresPrograms } from './postgres-binaries.js';
import { runServer } from './run-server.js';

const run = promisify(execFile);
const USER = 'luthier';

export interface PostgresOptions {
  /** Holds data, log and password. */
  dir: string;
  /** 0: the last one used in this folder, else any free. A taken port is replaced by another, with a message. @default 0 */
  port?: number;
  /** Of the superuser `luthier`. @default made at random and kept in `<dir>/password` */
  password?: string;
  /** False switches off everything that waits for the disk (tests). @default true */
  durable?: boolean;
  /** Ends when this process is gone. @default true */
  endWithParent?: boolean;
  /** Removes `dir` when the server ends. @default false */
  ephemeral?: boolean;
  log?: (message: string) => void;
}

export interface PostgresProcess {
  /** URL of the database `postgres`; with the password. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly takenOver: boolean;
  /** URL of another database of this server. */
  databaseUrl(name: string): string;
  /** Creates the database if it is not there; returns its URL. Names are `[a-z_][a-z0-9_]*`. */
  createDatabase(name: string): Promise<string>;
  stop(): Promise<void>;
}

/** Starts Postgres 18 in `dir` (made by initdb at the first start), listening on 127.0.0.1 only. Works as root too. */
export async function startPostgres(options: PostgresOptions): Promise<PostgresProcess> {
  const log = options.log ?? (() => undefined);
  const durable = options.durable ?? true;
  await mkdir(options.dir, { recursive: true });
  const account = await postgresAccount();
  const programs = await postgresPrograms(account, log);
  const place = await reachablePlace(options.dir, account, log);
  const data = join(place, 'data');
  const password = options.password ?? (await keptPassword(options.dir));
  const urlOf = (port: number, database: string): string =>
    `postgres://${USER}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`;
  const running = await runServer({
    name: 'postgres',
    dir: options.dir,
    wantedPort: options.port ?? 0,
    settings: [programs, data, durable],
    stopSignal: options.ephemeral === true ? 'SIGQUIT' : 'SIGINT', // at once | end sessions, write everything, leave
    stopGraceMs: 20_000,
    readyTimeoutMs: 60_000,
    endWithParent: options.endWithParent ?? true,
    removeDirs: options.ephemeral === true ? [...new Set([place, options.dir])] : [],
    log,
    command: async (port) => {
      await initialise({ programs, data, password, account, durable, log });
      return {
        file: join(programs, 'bin', 'postgres'),
        args: ['-D', data, ...settings(port, durable)],
        cwd: data,
        logFile: join(options.dir, 'postgres.log'),
        ...(account && { uid: account.uid, gid: account.gid }),
      };
    },
    isReady: (port) => answers(urlOf(port, 'postgres')),
  });
  return {
    url: urlOf(running.port, 'postgres'),
    port: running.port,
    pid: running.pid,
    takenOver: running.takenOver,
    databaseUrl: (name) => urlOf(running.port, name),
    createDatabase: async (name) => {
      await createDatabase(urlOf(running.port, 'postgres'), name);
      return urlOf(running.port, name);
    },
    stop: () => running.stop(),
  };
}

export interface PostgresPrograms {
  /** Folder with `bin/postgres` and `bin/initdb`. */
  programs: string;
  /** They refuse root: then this user of the system has to run them. */
  account?: Account;
}

/** For those who start Postgres in their own way. */
export async function findPostgres(log: (message: string) => void = () => undefined): Promise<PostgresPrograms> {
  const account = await postgresAccount();
  return { programs: await postgresPrograms(account, log), ...(account && { account }) };
}

/** What differs from Postgres' own defaults: one machine, one program, loopback only. */
function settings(port: number, durable: boolean): string[] {
  const values: Record<string, string> = {
    port: String(port),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '200',
    shared_buffers: durable ? '64MB' : '16MB',
    io_method: 'sync', // no extra worker processes
    ...(!durable && { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
  };
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** Makes the data folder if there is none; an interrupted attempt leaves nothing that could be mistaken for it. */
async function initialise(options: {
  programs: string;
  data: string;
  password: string;
  account: Account | undefined;
  durable: boolean;
  log: (message: string) => void;
}): Promise<void> {
  const { programs, data, account } = options;
  if (await stat(join(data, 'PG_VERSION')).catch(() => undefined)) return;
  const draft = `${data}.new`;
  const passwordFile = `${data}.password`;
  await rm(draft, { recursive: true, force: true });
  await privateFolder(draft, account);
  await writeFile(passwordFile, options.password, { mode: 0o600 });
  try {
    if (account) await chown(passwordFile, account.uid, account.gid);
    const args = ['-D', draft, '-U', USER, `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8'];
    args.push('--locale=C', '--no-instructions', ...(options.durable ? [] : ['--no-sync']));
    await run(join(programs, 'bin', 'initdb'), args, {
      cwd: draft,
      timeout: 120_000,
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
      ...(account && { uid: account.uid, gid: account.gid }),
    });
    await rename(draft, data);
    options.log('made a new Postgres database');
  } finally {
    await rm(passwordFile, { force: true });
  }
}

/** @throws Error when the server is there and refuses our password: waiting would not help. */
async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch (cause) {
    if ((cause as { code?: string }).code === '28P01') {
      throw new Error('Postgres refuses the password: the folder was made with another one', { cause });
    }
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function createDatabase(adminUrl: string, name: string): Promise<void> {
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(name)) throw new Error(`"${name}" is not a database name`);
  const client = new Client({ connectionString: adminUrl, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const found = await client.query('select 1 from pg_database where datname = $1', [name]);
    if (found.rowCount === 0) await client.query(`create database "${name}"`);
  } finally {
    await client.end();
  }
}

async function keptPassword(dir: string): Promise<string> {
  const file = join(dir, 'password');
  const kept = await readFile(file, 'utf8').catch(() => undefined);
  if (kept) return kept;
  const made = randomBytes(24).toString('base64url');
  await writeFile(file, made, { mode: 0o600, flag: 'wx' });
  return made;
}
