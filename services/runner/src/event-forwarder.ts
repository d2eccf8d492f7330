import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@luthier/contracts';
import type { RuntimeEvent } from '@luthier/contracts';
import type { EndpointClient } from './endpoint-client.js';
import { EventTail, eventsFile, ranksIn } from './event-tail.js';
import type { TailedEvent } from './event-tail.js';
import { writeAtomically } from './files.js';

const POLL_MS = 100;
const MAX_BATCH = 500;
/** Further behind than this, lines that only draw a curve are skipped; the stored file has them all. */
const CATCH_UP_BYTES = 64 * 1024 * 1024;
/** Read by the executor when this process is gone: what need not be published again. */
const ACKNOWLEDGED_FILE = 'acknowledged.json';

interface Rank {
  tail: EventTail;
  /** Read, not acknowledged; bounded, since nothing is read while something waits. */
  waiting: TailedEvent[];
  acknowledgedOffset: number;
  lastSeq: number;
}

export interface ForwarderOptions {
  endpoint: EndpointClient;
  outputDir: string;
  runFolder: string;
  /** Sees every line once, before it is sent. */
  onEvent: (event: RuntimeEvent) => void;
  /** Epoch milliseconds until which an unreachable endpoint is tried again. */
  deadlineMs: () => number;
  signal: AbortSignal;
}

/** Sends the runtime's lines to the endpoint in order, a batch at a time; the file is the queue. */
export class EventForwarder {
  private readonly ranks = new Map<number, Rank>();
  private draining = false;
  private readonly acknowledged: Record<string, number> = {};
  skippedLines = 0;

  constructor(private readonly options: ForwarderOptions) {}

  /** Ends after `drain()` when every line is acknowledged. @throws AppError when the endpoint stays away or fences. */
  async run(): Promise<void> {
    for (;;) {
      const last = this.draining;
      const found = await this.readAll();
      if (found) await this.sendAll();
      else if (last) return;
      else await sleep(POLL_MS);
      this.options.signal.throwIfAborted();
    }
  }

  /** No more lines will be written: `run()` ends with the last one. */
  drain(): void {
    this.draining = true;
  }

  /** Highest sequence number seen, per rank. */
  lastSeq(): Record<string, number> {
    return Object.fromEntries([...this.ranks].map(([rank, { lastSeq }]) => [String(rank), lastSeq]));
  }

  async close(): Promise<void> {
    for (const { tail } of this.ranks.values()) await tail.close();
  }

  private async readAll(): Promise<boolean> {
    for (const rank of await ranksIn(this.options.outputDir)) {
      if (this.ranks.has(rank)) continue;
      const tail = new EventTail(eventsFile(this.options.outputDir, rank));
      this.ranks.set(rank, { tail, waiting: [], acknowledgedOffset: 0, lastSeq: 0 });
    }
    let found = false;
    for (const state of this.ranks.values()) {
      if (state.waiting.length === 0) await this.readRank(state);
      found ||= state.waiting.length > 0;
    }
    return found;
  }

  private async readRank(state: Rank): Promise<void> {
    const lines = await state.tail.read();
    const behind = (await state.tail.sizeBytes()) - state.acknowledgedOffset > CATCH_UP_BYTES;
    for (const line of lines) {
      const { type, seq } = line.event;
      this.options.onEvent(line.event);
      state.lastSeq = Math.max(state.lastSeq, seq);
      if (behind && (type === 'step' || type === 'heartbeat')) {
        this.skippedLines++;
        state.acknowledgedOffset = line.endOffset;
      } else {
        state.waiting.push(line);
      }
    }
  }

  private async sendAll(): Promise<void> {
    const { endpoint, deadlineMs, signal } = this.options;
    for (const [rank, state] of this.ranks) {
      while (state.waiting.length > 0) {
        const batch = state.waiting.slice(0, MAX_BATCH);
        const highest = await endpoint.persistently(
          () => endpoint.events(batch.map(({ event }) => event)),
          deadlineMs,
          signal,
        );
        const acknowledged = highest[String(rank)] ?? 0;
        const rest = state.waiting.filter(({ event }) => event.seq > acknowledged);
        if (rest.length === state.waiting.length) throw new AppError('storage.unreachable', 'No line was acknowledged');
        state.acknowledgedOffset = batch.at(-1)?.endOffset ?? state.acknowledgedOffset;
        state.waiting = rest;
        this.acknowledged[String(rank)] = acknowledged;
      }
    }
    // Only saves work later: a full disk must not end the run here.
    await writeAtomically(join(this.options.runFolder, ACKNOWLEDGED_FILE), JSON.stringify(this.acknowledged)).catch(
      () => undefined,
    );
  }
}
