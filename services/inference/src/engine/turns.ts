import { AppError } from '@luthier/contracts';

/** Lets one task in at a time, in order; refuses when too many wait, so that a flood ends in a clear answer. */
export class Turns {
  private last: Promise<unknown> = Promise.resolve();
  private waiting = 0;

  constructor(private readonly maxWaiting: number) {}

  /** @throws AppError `request.rate-limited` when the queue is full. */
  async take<T>(task: () => Promise<T>): Promise<T> {
    if (this.waiting >= this.maxWaiting) {
      throw new AppError('request.rate-limited', `${this.waiting} requests for answers are already waiting.`);
    }
    this.waiting += 1;
    const turn = this.last.then(task, task).finally(() => {
      this.waiting -= 1;
    });
    this.last = turn.catch(() => undefined);
    return turn;
  }

  get length(): number {
    return this.waiting;
  }
}
