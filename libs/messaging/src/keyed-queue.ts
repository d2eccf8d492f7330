/** Runs at most `limit` tasks at once, and tasks of the same key one after the other in the order they were added. */
export class KeyedQueue {
  private readonly tails = new Map<string, Promise<void>>();
  private active = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(private readonly limit: number) {}

  /** Resolves when the task has got its place (not when it is done): the reader waits while the queue is full. */
  async add(key: string, task: () => Promise<void>): Promise<void> {
    while (this.active >= this.limit) await new Promise<void>((resolve) => this.waiting.push(resolve));
    this.active++;
    const before = this.tails.get(key) ?? Promise.resolve();
    const tail: Promise<void> = before
      .then(task)
      .catch(() => undefined)
      .then(() => {
        this.active--;
        if (this.tails.get(key) === tail) this.tails.delete(key);
        this.waiting.shift()?.();
      });
    this.tails.set(key, tail);
  }

  /** Resolves when nothing runs any more. */
  async idle(): Promise<void> {
    while (this.tails.size > 0) await Promise.all(this.tails.values());
  }
}
