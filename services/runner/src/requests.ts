import { EventEmitter, once } from 'node:events';

/** What this runner has been asked for: to stop with a checkpoint, to checkpoint now, to leave at once. */
export class Requests extends EventEmitter<{ stop: []; checkpoint: []; leave: [] }> {
  stopping = false;
  private checkpointRequest: number | undefined;
  private readonly abort = new AbortController();
  private readonly end = new AbortController();

  /** Aborted when everything is to be left as it lies: executor gone, or a newer attempt has taken over. */
  get leaving(): AbortSignal {
    return this.abort.signal;
  }

  /** Aborted when no training is to begin any more. */
  get ending(): AbortSignal {
    return this.end.signal;
  }

  stop(): void {
    if (this.stopping) return;
    this.stopping = true;
    this.end.abort();
    this.emit('stop');
  }

  /** Numbers rise with every request; the first one seen is what was there at the start. */
  checkpoint(request: number): void {
    const before = this.checkpointRequest;
    this.checkpointRequest = Math.max(before ?? 0, request);
    if (before !== undefined && request > before) this.emit('checkpoint');
  }

  leave(reason: string): void {
    if (this.abort.signal.aborted) return;
    this.abort.abort(new Error(reason));
    this.end.abort();
    this.emit('leave');
  }

  stopped(): Promise<unknown> {
    return this.stopping ? Promise.resolve() : once(this, 'stop');
  }
}
