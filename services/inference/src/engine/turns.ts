import { AppError } from '@luthier/contracts';

/** Lets one task in at a time, in order; refuses when too many are there, so that a flood ends in a clear answer. */
export class Turns {
  private last: Promise<unknown> = Promise.resolve();
  private taken = 0;
  private closed = false;

  /** `maxTasks`: the one that runs and those that wait. */
  constructor(private readonly maxTasks: number) {}

  /** @throws AppError `request.rate-limited` when the queue is full, `service.unavailable` once it was closed. */
  async take<T>(task: () => Promise<T>): Promise<T> {
    if (this.closed) throw ending();
    if (this.taken >= this.maxTasks) {
      throw new AppError('request.rate-limited', `${this.taken} requests for answers are already waiting.`);
    }
    return this.enqueue(() => {
      if (this.closed) throw ending();
      return task();
    });
  }

  /** Housekeeping between two tasks: never refused, and left out when the queue was closed or others wait. */
  async tidy(task: () => Promise<void>): Promise<void> {
    if (this.closed || this.taken > 0) return;
    await this.enqueue(async () => {
      if (!this.closed) await task();
    });
  }

  /** Refuses everything that waits or comes, and runs `task` once the running one has ended. */
  async close(task: () => Promise<void>): Promise<void> {
    this.closed = true;
    await this.enqueue(task);
  }

  get length(): number {
    return this.taken;
  }

  private enqueue<T>(task: () => T | Promise<T>): Promise<T> {
    this.taken += 1;
    const turn = this.last.then(task).finally(() => {
      this.taken -= 1;
    });
    this.last = turn.catch(() => undefined);
    return turn;
  }
}

const ending = (): AppError => new AppError('service.unavailable', 'The service for answers is ending.');
