import { parentPort, workerData } from 'node:worker_threads';
import { AppError } from '@luthier/contracts';
import type { WorkerMessage } from './worker-message.js';

/**
 * The one statement of a worker file: runs `work` with the thread's input and reports its end. `toAppError` turns the
 * faults of the work's own libraries into public ones.
 */
export function runInWorker<Input, Result, Progress = never>(
  work: (input: Input, report: (progress: Progress) => void) => Promise<Result>,
  toAppError: (thrown: unknown) => AppError = (thrown) => AppError.from(thrown),
): void {
  const port = parentPort;
  if (!port) throw new Error('This file is the entry of a worker thread');
  const post = (message: WorkerMessage): void => port.postMessage(message);
  work(workerData as Input, (progress) => post({ type: 'progress', progress })).then(
    (result) => post({ type: 'done', result }),
    (thrown: unknown) => {
      const error = toAppError(thrown);
      const { cause } = error;
      post({
        type: 'failed',
        error: error.toReply(),
        stack: (cause instanceof Error ? cause.stack : error.stack) ?? '',
      });
    },
  );
}
