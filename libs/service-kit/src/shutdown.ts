/** What is closed after the application, last opened first: pools and connections that handlers still need to end. */
export class Closers {
  private readonly closers: { name: string; close: () => Promise<unknown> }[] = [];

  add(name: string, close: () => Promise<unknown>): void {
    this.closers.push({ name, close });
  }

  /** Closes all of them even when one fails; returns what failed. */
  async closeAll(): Promise<{ name: string; cause: unknown }[]> {
    const failed: { name: string; cause: unknown }[] = [];
    for (let next = this.closers.pop(); next; next = this.closers.pop()) {
      try {
        await next.close();
      } catch (cause) {
        failed.push({ name: next.name, cause });
      }
    }
    return failed;
  }
}

/** Resolves to false when `work` is not done in time; the work goes on unobserved. */
export async function withinMs(work: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs);
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
