import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@luthier/contracts';

const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 30_000;
const PATIENCE_MS = 10 * 60_000;

/**
 * Does it again while the artifact store cannot be reached: nobody's file is bad because of that.
 * @throws what `work` does for other reasons, or after `patienceMs`; the signal's reason.
 */
export async function outlastOutage<T>(
  work: () => Promise<T>,
  signal: AbortSignal,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const deadline = performance.now() + patienceMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(MAX_PAUSE_MS, pauseMs * 2)) {
    try {
      return await work();
    } catch (cause) {
      const away = cause instanceof AppError && cause.code === 'storage.unreachable';
      if (!away || performance.now() + pauseMs > deadline) throw cause;
      await sleep(pauseMs, undefined, { signal });
    }
  }
}
