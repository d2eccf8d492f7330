import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { RuntimeEvent } from '@luthier/contracts';

type WithoutHead<T> = T extends RuntimeEvent ? Omit<T, 'seq' | 'rank' | 'time'> : never;
/** An event before it has its number, rank and time. */
export type EventBody = WithoutHead<RuntimeEvent>;

const HEARTBEAT_INTERVAL_MS = 5_000;

/** Appends events to `<outputDir>/events.0.jsonl`, one line each, in one write. */
export class EventsFile {
  private seq = 0;
  private lastMs = 0;
  private readonly descriptor: number;

  constructor(outputDir: string) {
    this.descriptor = openSync(join(outputDir, 'events.0.jsonl'), 'a');
  }

  write(body: EventBody): void {
    this.seq += 1;
    this.lastMs = Date.now();
    const line = JSON.stringify({ ...body, seq: this.seq, rank: 0, time: new Date(this.lastMs).toISOString() });
    writeSync(this.descriptor, `${line}\n`);
  }

  /** Says that the run is alive when nothing was said for a while. Called between micro-batches. */
  heartbeat(step: number): void {
    if (Date.now() - this.lastMs >= HEARTBEAT_INTERVAL_MS) this.write({ type: 'heartbeat', step });
  }

  close(): void {
    closeSync(this.descriptor);
  }
}
