import { AppError } from '@luthier/contracts';
import type { WorkerMessage } from './worker-message.js';

/** The one statement of a child file: runs `work` with the input of its parent and tells it the end. Leaves with its parent. */
export function runInChild<Input, Result>(work: (input: Input) => Promise<Result>): void {
  const post = (message: WorkerMessage): void => void process.send?.(message);
  process.once('disconnect', () => process.exit());
  process.once('message', ({ input }: { input: Input }) => {
    work(input).then(
      (result) => post({ type: 'done', result }),
      (thrown: unknown) => {
        const error = AppError.from(thrown);
        const { cause } = error;
        const stack = (cause instanceof Error ? cause.stack : error.stack) ?? '';
        post({ type: 'failed', error: error.toReply(), stack });
      },
    );
  });
}
