export interface BackoffOptions {
  baseMs: number;
  maxMs: number;
}

/**
 * Time to wait before the next try: doubles with every failure, up to a bound, and half of it is drawn by chance, so
 * that many clients of one broken server do not come back in step.
 *
 * @param failures how many tries have failed so far, from 1
 * @param random a number from 0 (included) to 1
 */
export function backoffMs(failures: number, { baseMs, maxMs }: BackoffOptions, random: number): number {
  const full = Math.min(maxMs, baseMs * 2 ** Math.min(30, Math.max(0, failures - 1)));
  return full / 2 + (full / 2) * random;
}

/** At least what the server asked for, with some chance on top, again so that clients do not come back in step. */
export function waitBeforeRetryMs(
  failures: number,
  options: BackoffOptions,
  random: number,
  retryAfterMs?: number,
): number {
  const own = backoffMs(failures, options, random);
  return retryAfterMs === undefined ? own : retryAfterMs + options.baseMs * random;
}
