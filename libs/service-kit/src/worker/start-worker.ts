import { Worker } from 'node:worker_threads';
import { AppError } from '@luthier/contracts';
import { launchOptions } from './launch-options.js';
import type { WorkerMessage } from './worker-message.js';

export interface WorkerOptions<Progress> {
  /** Folder-relative to the caller: `new URL('./x.worker.js', import.meta.url)`. */
  entry: URL;
  /** Structured-cloneable input. */
  data: unknown;
  /** Ends the thread. */
  signal?: AbortSignal;
  /** Limit of the thread's own heap; beyond it the thread ends and the caller gets an error. @default 256 */
  heapMib?: number;
  onProgress?: (progress: Progress) => void;
  /** The thread is ended after this time. @default one hour */
  timeoutMs?: number;
}

const HOUR_MS = 60 * 60 * 1000;

/**
 * Runs `entry` in a thread of its own and gives back what its `runInWorker` function returned.
 * @throws AppError as the thread threw it; `internal` when it died; `request.timeout` after `timeoutMs`; the signal's
 * reason when it was aborted.
 */
export async function startWorker<Result, Progress = never>(options: WorkerOptions<Progress>): Promise<Result> {
  const { entry, data, signal, onProgress } = options;
  signal?.throwIfAborted();
  const { file, execArgv } = launchOptions(entry);
  const worker = new Worker(file, {
    workerData: data,
    resourceLimits: { maxOldGenerationSizeMb: options.heapMib ?? 256, maxYoungGenerationSizeMb: 16 },
    ...(execArgv && { execArgv }),
  });
  return new Promise<Result>((resolve, reject) => {
    const end = (cause: unknown): void => {
      settle(() => reject(cause instanceof Error ? cause : new AppError('internal', undefined, { cause })));
      void worker.terminate();
    };
    const abort = (): void => end(signal?.reason);
    const timer = setTimeout(
      () => end(new AppError('request.timeout', 'The work in the background took too long')),
      options.timeoutMs ?? HOUR_MS,
    );
    const settle = (how: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      how();
    };
    signal?.addEventListener('abort', abort, { once: true });
    worker.on('message', (message: WorkerMessage) => {
      if (message.type === 'progress') onProgress?.(message.progress as Progress);
      else if (message.type === 'done') settle(() => resolve(message.result as Result));
      else {
        const { error, stack } = message;
        const known = AppError.fromReply(error);
        settle(() => reject(new AppError(known.code, known.message, { hint: known.hint, cause: new Error(stack) })));
      }
    });
    worker.on('error', (cause) =>
      end(
        new AppError('internal', `The work in the background ended: ${cause instanceof Error ? cause.message : ''}`, {
          cause,
        }),
      ),
    );
    worker.on('exit', (code) => end(new AppError('internal', `The work in the background ended with code ${code}`)));
  });
}
