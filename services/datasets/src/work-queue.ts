import type { Logger } from '@luthier/service-kit';

/** Runs work by id, each id once at a time, at most `width` together. What is not done at `stop()` is taken up at the next start. */
export class WorkQueue {
  private readonly known = new Set<string>();
  private readonly waiting: { id: string; work: () => Promise<void> }[] = [];
  private readonly running = new Set<Promise<void>>();
  private readonly stopping = new AbortController();

  constructor(
    private readonly width: number,
    private readonly logger: Logger,
  ) {}

  get signal(): AbortSignal {
    return this.stopping.signal;
  }

  add(id: string, work: () => Promise<void>): void {
    if (this.known.has(id) || this.signal.aborted) return;
    this.known.add(id);
    this.waiting.push({ id, work });
    this.next();
  }

  async stop(): Promise<void> {
    this.stopping.abort(new Error('the service stops'));
    this.waiting.length = 0;
    await Promise.all(this.running);
  }

  private next(): void {
    if (this.running.size >= this.width) return;
    const entry = this.waiting.shift();
    if (!entry) return;
    const run = entry
      .work()
      .catch((err: unknown) => {
        if (!this.signal.aborted) this.logger.error({ op: 'background', id: entry.id, ok: false, err });
      })
      .finally(() => {
        this.known.delete(entry.id);
        this.running.delete(run);
        this.next();
      });
    this.running.add(run);
  }
}
