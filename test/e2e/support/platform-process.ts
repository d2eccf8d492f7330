import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createClient } from '@luthier/api-client';
import type { LuthierClient } from '@luthier/api-client';
import { waitFor } from '@luthier/testing';
import { processes, serverOf } from './processes.js';

export const PROJECT = fileURLToPath(new URL('../../../', import.meta.url));
const LUTHIER = 'services/cli/dist/main.js';
const STOP_TIMEOUT_MS = 90_000;

export interface StartOptions {
  home: string;
  port?: number;
  /** Program and arguments in front of node, e.g. setpriv. */
  prefix?: readonly string[];
  /** Where the program sees the project. @default where it lies */
  project?: string;
  env?: Readonly<Record<string, string>>;
}

/** `luthier start` as a process of its own, used through its public HTTP API only. */
export class PlatformProcess {
  private constructor(
    private readonly child: ChildProcess,
    readonly home: string,
    readonly url: string,
    readonly apiKey: string,
    readonly client: LuthierClient,
    /** All that it has printed. */
    readonly said: () => string,
  ) {}

  static async start(options: StartOptions): Promise<PlatformProcess> {
    const { home, port = 0, prefix = [], project = PROJECT, env = {} } = options;
    const node = process.execPath.startsWith(PROJECT)
      ? join(project, process.execPath.slice(PROJECT.length))
      : process.execPath;
    const command = [...prefix, node, join(project, LUTHIER), 'start', '--home', home, '--port', String(port)];
    const [program = node, ...args] = command;
    const child = spawn(program, args, {
      cwd: '/', // ours may be one that another user cannot enter
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], LUTHIER_LOG_LEVEL: 'info', ...env },
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text: string) => (said += text));
    }
    const address = await waitFor(
      () => {
        if (child.exitCode !== null || child.signalCode !== null) return { ended: true as const };
        const url = /dashboard and API: (\S+)/.exec(said)?.[1];
        return url === undefined ? undefined : { url };
      },
      { intervalMs: 50, what: 'the address of the platform' },
    ).catch(() => ({ ended: true as const }));
    if ('ended' in address) {
      child.kill('SIGKILL');
      throw new Error(`the platform did not start:\n${said}`);
    }
    const apiKey = (await readFile(join(home, 'api-key'), 'utf8')).trim();
    const client = createClient({ baseUrl: address.url, apiKey });
    return new PlatformProcess(child, home, address.url, apiKey, client, () => said);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }
  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Process id of a child server. */
  async pidOf(program: 'nats-server' | 'postgres'): Promise<number> {
    return (await serverOf(this.pid, program)).pid;
  }

  get(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.url}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${this.apiKey}`, ...(init.headers as Record<string, string> | undefined) },
      signal: init.signal ?? AbortSignal.timeout(60_000),
    });
  }

  /** kill -9 of this process alone; its children are left to themselves. */
  async kill(): Promise<void> {
    if (this.ended) return;
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }

  /** Ends it as Ctrl-C does. @throws Error when it did not end by itself, or left a process behind. */
  async stop(): Promise<void> {
    if (!this.ended) {
      this.child.kill('SIGTERM');
      const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await once(this.child, 'exit');
      clearTimeout(timer);
    }
    const signal = this.child.signalCode;
    const left = await endLeftOvers(this.home);
    if (signal === 'SIGKILL' || left.length > 0) {
      throw new Error(`the platform did not end in order (${signal ?? 'exited'}); left: ${left.join(', ')}`);
    }
  }
}

/** Ends what still works in a home. A server needs a moment to notice that its parent has gone. */
async function endLeftOvers(home: string): Promise<string[]> {
  const inHome = async () =>
    (await processes()).filter(
      ({ pid, command, folder }) => pid !== process.pid && (command.includes(home) || folder.startsWith(home)),
    );
  await waitFor(async () => (await inHome()).length === 0, { intervalMs: 100 }).catch(() => false);
  const left = await inHome();
  for (const { pid } of left) process.kill(pid, 'SIGKILL');
  return left.map(({ command }) => command.slice(0, 120));
}
