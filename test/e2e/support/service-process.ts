import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ServiceName } from '@luthier/contracts';

const STOP_TIMEOUT_MS = 90_000;

export interface ServiceProcess {
  readonly name: ServiceName;
  /** All that it has logged. */
  said(): string;
  ended(): boolean;
  /** Resolves with the exit status; null when it had to be killed. */
  stop(): Promise<number | null>;
}

/** One service as a process of its own, with nothing but its own settings. */
export function startService(name: ServiceName, env: Readonly<Record<string, string>>): ServiceProcess {
  const program = fileURLToPath(new URL(`../../../services/${name}/dist/main.js`, import.meta.url));
  const child = spawn(process.execPath, [program], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => (said += text));
  }
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
  return {
    name,
    said: () => said,
    ended,
    stop: async () => {
      if (!ended()) {
        child.kill('SIGTERM');
        const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
        await once(child, 'exit');
        clearTimeout(timer);
      }
      return child.exitCode;
    },
  };
}
