const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Work was broken off because somebody asked for the end. */
export class EndAsked extends Error {
  override readonly name = 'EndAsked';
}

/**
 * Aborted with `EndAsked` by the first SIGINT, SIGTERM or SIGHUP from now on, so that what was begun is ended in order; a
 * second one ends the process at once (what it has started then ends by itself).
 */
export function endSignal(onAsked: () => void = () => undefined): AbortSignal {
  const ending = new AbortController();
  for (const name of SIGNALS) {
    process.on(name, () => {
      if (ending.signal.aborted) process.exit(130);
      onAsked();
      ending.abort(new EndAsked('ended before it was done'));
    });
  }
  return ending.signal;
}

/** Resolves when `signal` is aborted. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** `work`, or the rejection with `EndAsked` as soon as the end is asked for; `work` must then end by itself. */
export function unlessEnded<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return Promise.race([
    work,
    untilAborted(signal).then((): never => {
      throw signal.reason;
    }),
  ]);
}
