import type { ErrorReply } from '@luthier/contracts';

/** What a thread tells the thread that started it. */
export type WorkerMessage =
  | { type: 'progress'; progress: unknown }
  | { type: 'done'; result: unknown }
  | { type: 'failed'; error: ErrorReply; stack: string };
