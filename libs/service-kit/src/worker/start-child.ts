import { fork } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { AppError } from '@luthier/contracts';
import { launchOptions } from './launch-options.js';
import type { WorkerMessage } from './worker-message.js';

export interface ChildOptions {
  /** Folder-relative to the caller: `new URL('./x.child.js', import.meta.url)`. */
  readonly entry: URL;
  /** Input that JSON can carry. */
  readonly data: unknown;
  /** Memory that the process may hold, native memory and mapped files included; beyond it the process is killed. */
  readonly memoryMib: number;
  readonly timeoutMs: number;
  /** Kills the process. */
  readonly signal?: AbortSignal;
}

const LOOK_EVERY_MS = 250;
const MIB = 1024 ** 2;

/** Undefined where the system does not tell (other than Linux), or the process has ended. */
async function residentMib(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  return kib === undefined ? undefined : (Number(kib) * 1024) / MIB;
}

/**
 * Runs `entry` in a process of its own, for work whose native memory a thread could not be bounded in, and whose crash
 * would take everything along. Gives back what its `runInChild` function returned.
 * @throws AppError as the process threw it; `host.out-of-memory` beyond `memoryMib`; `request.timeout` after
 * `timeoutMs`; `internal` when it died; the signal's reason when it was aborted.
 */
export async function startChild<Result>(options: ChildOptions): Promise<Result> {
  const { entry, data, memoryMib, timeoutMs, signal } = options;
  signal?.throwIfAborted();
  const { file, execArgv = [] } = launchOptions(entry);
  const child = fork(fileURLToPath(file), { execArgv, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  return new Promise<Result>((resolve, reject) => {
    const settle = (how: () => void): void => {
      clearTimeout(timer);
      clearInterval(looking);
      signal?.removeEventListener('abort', abort);
      child.kill('SIGKILL');
      how();
    };
    const fail = (error: Error): void => settle(() => reject(error));
    const abort = (): void => {
      const reason: unknown = signal?.reason;
      fail(reason instanceof Error ? reason : AppError.from(reason));
    };
    const timer = setTimeout(
      () => fail(new AppError('request.timeout', `The work took longer than ${Math.round(timeoutMs / 1_000)} s`)),
      timeoutMs,
    );
    const look = async (): Promise<void> => {
      const mib = child.pid === undefined ? undefined : await residentMib(child.pid);
      if (mib !== undefined && mib > memoryMib)
        fail(new AppError('host.out-of-memory', `The work took more than ${memoryMib} MiB of memory`));
    };
    const looking = setInterval(() => void look(), LOOK_EVERY_MS);
    signal?.addEventListener('abort', abort, { once: true });
    child.on('message', (message: WorkerMessage) => {
      if (message.type === 'done') settle(() => resolve(message.result as Result));
      else if (message.type === 'failed') {
        const known = AppError.fromReply(message.error);
        const cause = new Error(message.stack);
        fail(new AppError(known.code, known.message, { hint: known.hint, cause }));
      }
    });
    child.on('error', (cause) => fail(new AppError('internal', 'The process for the work did not start', { cause })));
    child.on('exit', (code, by) => fail(new AppError('internal', `The work ended with ${by ?? `code ${code}`}`)));
    child.send({ input: data });
  });
}
