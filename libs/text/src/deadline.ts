/**
 * A time limit for an answer from elsewhere. Timers fire before messages are read: when this thread itself was late, the
 * answer may already lie there, so it is read once more before anything is called late.
 */
export class Deadline {
  private timer: NodeJS.Timeout | undefined;

  get isSet(): boolean {
    return this.timer !== undefined;
  }

  /** Takes the place of the one before. `onLate` is called unless it is cleared or set again in time. */
  set(timeoutMs: number, onLate: () => void): void {
    this.clear();
    const timer = setTimeout(() => {
      setImmediate(() => {
        if (this.timer !== timer) return;
        this.timer = undefined;
        onLate();
      });
    }, timeoutMs);
    this.timer = timer;
  }

  clear(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }
}
