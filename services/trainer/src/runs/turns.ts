/**
 * Lets so many pieces of work go on at once; the others wait in the order in which they came. A turn is handed over by way
 * of the event loop, so that thousands of quick pieces do not hold up what comes from outside.
 */
export class Turns {
  private free: number;
  private readonly waiting: (() => void)[] = [];

  constructor(atOnce: number) {
    this.free = atOnce;
  }

  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.free > 0) this.free -= 1;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next) setImmediate(next);
      else this.free += 1;
    }
  }
}
