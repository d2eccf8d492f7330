export interface WaitOptions {
  /** @default 90000: how quick a machine is, is no guarantee of what runs on it */
  timeoutMs?: number;
  /** @default 10 */
  intervalMs?: number;
  /** What is waited for, for the message. */
  what?: string;
}

/**
 * Calls `look` until it returns something truthy, and returns that. A throwing `look` counts as "not yet".
 * @throws Error after `timeoutMs`, with the last error as its cause.
 */
export async function waitFor<T>(look: () => T | Promise<T>, options: WaitOptions = {}): Promise<NonNullable<T>> {
  const { timeoutMs = 90_000, intervalMs = 10, what = 'the expected state' } = options;
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    let last: unknown;
    try {
      const found = await look();
      if (found) return found;
    } catch (cause) {
      last = cause;
    }
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain for ${what}`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}
