import { AppError } from '@luthier/contracts';
import { InsufficientMemoryError, LlamaLogLevel, getLlama } from 'node-llama-cpp';
import type { Llama } from 'node-llama-cpp';

/** llama.cpp on the processor. Its prebuilt binaries come with the package: never download, never compile. */
export const loadLlama = (maxThreads: number): Promise<Llama> =>
  getLlama({ gpu: false, build: 'never', skipDownload: true, logLevel: LlamaLogLevel.error, maxThreads });

/** What llama.cpp has thrown as `host.out-of-memory` or `model.unreadable`. */
export const asAppError = (cause: unknown, message: string): AppError =>
  cause instanceof InsufficientMemoryError
    ? new AppError('host.out-of-memory', 'There is not enough free memory to answer with this model.', { cause })
    : new AppError('model.unreadable', message, { cause });
