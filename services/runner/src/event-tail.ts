import { open, readdir } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { runtimeEvent } from '@luthier/contracts';
import type { RuntimeEvent } from '@luthier/contracts';

export interface TailedEvent {
  event: RuntimeEvent;
  /** Position in the file after the line. */
  endOffset: number;
}

const NEWLINE = 0x0a;
const READ_BYTES = 256 * 1024;
/** A longer line cannot be published; it stays in the file. */
const MAX_LINE_BYTES = 512 * 1024;

/** Reads the whole lines of one `events.<rank>.jsonl` as it grows. */
export class EventTail {
  private handle: FileHandle | undefined;
  private readOffset = 0;
  /** Bytes after the last newline. */
  private rest: Buffer = Buffer.alloc(0);
  private skippingLongLine = false;
  /** Lines that no contract knows; they stay in the stored file. */
  unknownLines = 0;

  constructor(private readonly path: string) {}

  /** The next whole lines, at most about 256 KiB of them; empty when there is nothing new. */
  async read(): Promise<TailedEvent[]> {
    this.handle ??= await open(this.path, 'r').catch(() => undefined);
    if (!this.handle) return [];
    const buffer = Buffer.alloc(READ_BYTES);
    const { bytesRead } = await this.handle.read(buffer, 0, READ_BYTES, this.readOffset);
    if (bytesRead === 0) return [];
    const start = this.readOffset - this.rest.length;
    this.readOffset += bytesRead;
    return this.split(Buffer.concat([this.rest, buffer.subarray(0, bytesRead)]), start);
  }

  async sizeBytes(): Promise<number> {
    return (await this.handle?.stat())?.size ?? 0;
  }

  async close(): Promise<void> {
    await this.handle?.close();
  }

  private split(bytes: Buffer, start: number): TailedEvent[] {
    const events: TailedEvent[] = [];
    let from = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
      const line = bytes.subarray(from, end);
      from = end + 1;
      if (this.skippingLongLine || line.length > MAX_LINE_BYTES) {
        this.skippingLongLine = false;
        this.unknownLines++;
        continue;
      }
      const event = parseLine(line.toString());
      if (event) events.push({ event, endOffset: start + from });
      else this.unknownLines++;
    }
    this.rest = bytes.subarray(from);
    if (this.rest.length > MAX_LINE_BYTES) {
      this.skippingLongLine = true;
      this.rest = Buffer.alloc(0);
    }
    return events;
  }
}

function parseLine(line: string): RuntimeEvent | undefined {
  try {
    return runtimeEvent.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

/** The ranks whose files are there. */
export async function ranksIn(outputDir: string): Promise<number[]> {
  const names = await readdir(outputDir).catch(() => []);
  return names
    .map((name) => /^events\.(\d+)\.jsonl$/.exec(name)?.[1])
    .filter((rank) => rank !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
}

export const eventsFile = (outputDir: string, rank: number): string => join(outputDir, `events.${rank}.jsonl`);
