import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import type { Writable } from 'node:stream';
import type { ProcessIdentity } from './process-identity.js';

/**
 * A shell that waits for the end of its standard input, which the kernel closes when we die, however we die. It then
 * ends the server, and removes the folders of a server that was only for us.
 */
const SCRIPT = `
read -r _
kill -"$2" "$1" 2>/dev/null
n=0
while kill -0 "$1" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done
kill -KILL "$1" 2>/dev/null
shift 2
if [ $# -gt 0 ]; then rm -rf -- "$@"; fi
`;

/** Removes `dir` when this process is gone, however it ends. */
export function removeWithProcess(dir: string): void {
  startWatchdog('read -r _; rm -rf -- "$1"', [dir]);
}

export interface Watchdog {
  /** The server has been ended in order: nothing is left to watch. */
  dismiss(): void;
}

/** Ends `server` with `signal` when this process is gone. Also removes `removeDirs`. */
export function guardServer(
  server: ProcessIdentity,
  signal: 'INT' | 'TERM' | 'QUIT' | 'KILL',
  removeDirs: readonly string[],
): Watchdog {
  const child = startWatchdog(SCRIPT, [String(server.pid), signal, ...removeDirs]);
  return {
    dismiss: () => {
      child?.kill('SIGKILL'); // before its input ends, or it would act
      child?.stdin.destroy();
    },
  };
}

function startWatchdog(script: string, args: readonly string[]): ChildProcessByStdio<Writable, null, null> | undefined {
  if (process.platform === 'win32') return undefined;
  const child = spawn('/bin/sh', ['-c', script, 'luthier-watchdog', ...args], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    cwd: '/',
  });
  child.on('error', () => undefined); // no shell: the server outlives a killed parent and is taken over at the next start
  child.stdin.on('error', () => undefined);
  child.unref();
  (child.stdin as { unref?: () => void }).unref?.();
  return child;
}
