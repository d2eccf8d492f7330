import { execFile, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { fetchPinned, findNatsServer, identityOf, isAlive, startNats, startPostgres, withFileLock } from './index.js';
import { copyPrograms } from './postgres-binaries.js';
import { isReachable } from './postgres-account.js';

const run = promisify(execFile);
const here = import.meta.dirname;
let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'luthier-servers-'));
  await chmod(dir, 0o711);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function until(look: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 90_000;
  while (!(await look())) {
    if (Date.now() > deadline) throw new Error('waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function query<T>(url: string, text: string): Promise<T[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows as T[];
  } finally {
    await client.end();
  }
}

/** Starts a server in a process of its own and kills that process with SIGKILL; returns the server's pid and port. */
async function orphan(call: string): Promise<{ pid: number; port: number; url: string }> {
  const loader = join(dir, 'parent.mts');
  await writeFile(
    loader,
    `import { startNats, startPostgres } from ${JSON.stringify(join(here, 'index.ts'))};
     void startNats; void startPostgres;
     const s = await ${call};
     console.log(JSON.stringify({ pid: s.pid, port: s.port, url: s.url }));
     setInterval(() => undefined, 1000);`,
  );
  const hook = join(dir, 'hook.mjs');
  await writeFile(
    hook,
    `import { registerHooks } from 'node:module';
     registerHooks({ resolve: (specifier, context, next) =>
       next(!context.parentURL?.includes('node_modules') && specifier.startsWith('.') && specifier.endsWith('.js') ? specifier.replace(/\\.js$/, '.ts') : specifier, context) });`,
  );
  const parent = spawn(process.execPath, ['--import', hook, loader], { stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  parent.stderr.on('data', (data: Buffer) => (errors += data.toString()));
  const line = await new Promise<string>((resolve, reject) => {
    parent.stdout.once('data', (data: Buffer) => resolve(data.toString()));
    parent.once('exit', () => reject(new Error(errors)));
  });
  parent.removeAllListeners('exit');
  const gone = new Promise((resolve) => parent.once('exit', resolve));
  parent.kill('SIGKILL');
  await gone;
  return JSON.parse(line) as { pid: number; port: number; url: string };
}

describe('nats-server', () => {
  it('is found or fetched in the pinned version, and two that ask at once get the same one', async () => {
    const [first, second] = await Promise.all([findNatsServer(), findNatsServer()]);
    expect(first.path).toBe(second.path);
    const { stdout } = await run(first.path, ['--version']);
    expect(stdout.trim()).toBe('nats-server: v2.15.1');
  });

  it('takes another port and says so when the wanted one is in use', async () => {
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
    const { port } = blocker.address() as { port: number };
    const said: string[] = [];
    const nats = await startNats({ dir, port, log: (line) => said.push(line) });
    try {
      expect(nats.port).not.toBe(port);
      expect(said.join('\n')).toContain(`port ${port} is in use`);
    } finally {
      await nats.stop();
      blocker.close();
    }
  });

  it('refuses a second start on a folder whose owner lives', async () => {
    const nats = await startNats({ dir });
    await expect(startNats({ dir })).rejects.toThrow('is in use');
    await nats.stop();
  });

  it('ends when its parent is killed, and its files go if they were only for the parent', async () => {
    const data = join(dir, 'nats');
    const left = await orphan(`startNats({ dir: ${JSON.stringify(data)}, ephemeral: true })`);
    await until(async () => (await identityOf(left.pid)) === undefined);
    await until(async () => (await stat(data).catch(() => undefined)) === undefined);
  });
});

describe('Postgres', () => {
  it('starts from nothing, keeps its data over a stop, and makes databases', async () => {
    const data = join(dir, 'pg');
    const first = await startPostgres({ dir: data });
    const url = await first.createDatabase('luthier');
    await query(url, 'create table t (n int); insert into t values (7)');
    expect(await first.createDatabase('luthier')).toBe(url);
    await first.stop();
    const second = await startPostgres({ dir: data });
    try {
      expect(second.port).toBe(first.port);
      expect(await query(second.databaseUrl('luthier'), 'select n from t')).toEqual([{ n: 7 }]);
    } finally {
      await second.stop();
    }
  });

  it('takes over the healthy orphan of a killed parent, and owns its end', async () => {
    const data = join(dir, 'pg');
    const call = `startPostgres({ dir: ${JSON.stringify(data)}, durable: false, endWithParent: false })`;
    const left = await orphan(call);
    const identity = await identityOf(left.pid);
    const taken = await startPostgres({ dir: data, durable: false });
    expect([taken.takenOver, taken.pid, taken.url]).toEqual([true, left.pid, left.url]);
    await taken.stop();
    expect(identity && (await isAlive(identity))).toBe(false);
  });

  it('ends an orphan that was started with other settings, then starts its own', async () => {
    const data = join(dir, 'pg');
    const left = await orphan(`startPostgres({ dir: ${JSON.stringify(data)}, durable: false, endWithParent: false })`);
    const own = await startPostgres({ dir: data, durable: true });
    try {
      expect(own.takenOver).toBe(false);
      expect(own.pid).not.toBe(left.pid);
      expect(await query(own.url, 'select 1 as one')).toEqual([{ one: 1 }]);
    } finally {
      await own.stop();
    }
  });

  it('never runs as root', async () => {
    const postgres = await startPostgres({ dir: join(dir, 'pg'), durable: false, ephemeral: true });
    try {
      const status = await readFile(`/proc/${postgres.pid}/status`, 'utf8');
      expect(Number(/^Uid:\t(\d+)/m.exec(status)?.[1])).not.toBe(0);
    } finally {
      await postgres.stop();
    }
  });

  const asRoot = process.getuid?.() === 0 ? it : it.skip;
  asRoot('starts as root below a home that nobody else can enter', async () => {
    const home = join(dir, 'home');
    await mkdir(home, { mode: 0o700 });
    const said: string[] = [];
    const postgres = await startPostgres({ dir: join(home, 'pg'), durable: false, log: (line) => said.push(line) });
    try {
      expect(await query(postgres.url, 'select 1 as one')).toEqual([{ one: 1 }]);
      expect(said.join('\n')).toContain('cannot reach');
    } finally {
      await postgres.stop();
      const place = /the database lies in (\S+)/.exec(said.join('\n'))?.[1];
      if (place?.startsWith('/var/lib/luthier/')) await rm(place, { recursive: true, force: true });
    }
  });

  it('says that a folder was made with another password, and leaves no server behind', async () => {
    const data = join(dir, 'pg');
    await (await startPostgres({ dir: data, durable: false, password: 'one' })).stop();
    await expect(startPostgres({ dir: data, durable: false, password: 'two' })).rejects.toThrow('another one');
    const { server } = JSON.parse(await readFile(join(data, 'server.json'), 'utf8')) as { server: { pid: number } };
    expect(await identityOf(server.pid)).toBeUndefined();
  });

  asRoot('leaves nothing behind outside its folder when it is only for its parent', async () => {
    const home = join(dir, 'home');
    await mkdir(home, { mode: 0o700 });
    const said: string[] = [];
    const postgres = await startPostgres({
      dir: join(home, 'pg'),
      durable: false,
      ephemeral: true,
      log: (l) => said.push(l),
    });
    await postgres.stop();
    const place = /the database lies in (\S+)/.exec(said.join('\n'))?.[1] ?? '/';
    await expect(stat(place)).rejects.toThrow();
  });

  it('copies its programs where every user can run them, and trusts no copy that is not its own', async () => {
    const programs = join(dir, 'native');
    await mkdir(join(programs, 'bin'), { recursive: true, mode: 0o700 });
    await writeFile(join(programs, 'bin', 'postgres'), '#!/bin/sh\necho yes\n', { mode: 0o700 });
    const copy = await copyPrograms(programs, 'copy', [dir], () => undefined);
    expect(await isReachable(join(copy, 'bin', 'postgres'))).toBe(true);
    expect(((await stat(join(copy, 'bin', 'postgres'))).mode & 0o777).toString(8)).toBe('755');
    await chmod(copy, 0o777);
    await expect(copyPrograms(programs, 'copy', [dir], () => undefined)).rejects.toThrow('belongs to somebody else');
  });
});

describe('fetchPinned', () => {
  it('goes on to the next source when one fails, says which it used, and fetches once for many callers', async () => {
    let fetches = 0;
    const ask = (): Promise<{ dir: string; source: string }> =>
      fetchPinned({
        name: 'thing-1.0',
        cacheDir: dir,
        sources: [
          { label: 'nowhere', fetch: () => Promise.reject(new Error('unreachable')) },
          {
            label: 'somewhere',
            fetch: async (into) => {
              fetches++;
              await writeFile(join(into, 'thing'), 'content');
            },
          },
        ],
      });
    const answers = await Promise.all([ask(), ask(), ask()]);
    expect(fetches).toBe(1);
    expect(answers.map(({ source }) => source).sort()).toEqual(['somewhere', 'the cache', 'the cache']);
    expect(await readFile(join(answers[0]?.dir ?? '', 'thing'), 'utf8')).toBe('content');
  });

  it('names what every source answered when none succeeds, and leaves nothing half-done', async () => {
    const failing = fetchPinned({
      name: 'thing-2.0',
      cacheDir: dir,
      sources: [{ label: 'A', fetch: () => Promise.reject(new Error('wrong checksum')) }],
    });
    await expect(failing).rejects.toThrow(/A: wrong checksum/);
    await expect(stat(join(dir, 'thing-2.0'))).rejects.toThrow();
  });
});

describe('withFileLock', () => {
  it('lets one in at a time and takes over the lock of a dead process', async () => {
    const path = join(dir, 'x.lock');
    await writeFile(path, JSON.stringify({ pid: 2 ** 22 + 1, startTime: 'never', token: 'dead' }));
    let inside = 0;
    let most = 0;
    const enter = (): Promise<void> =>
      withFileLock(path, 10_000, async () => {
        most = Math.max(most, ++inside);
        await new Promise((resolve) => setTimeout(resolve, 5));
        inside--;
      });
    await Promise.all([enter(), enter(), enter(), enter()]);
    expect(most).toBe(1);
  });
});
