import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { open } from 'node:fs/promises';
import { moreTelling, runtimeEvent } from '@luthier/contracts';
import type { RuntimeEvent } from '@luthier/contracts';

export interface LeftoverOptions {
  outputDir: string;
  /** Lines up to these numbers are published already, per rank. */
  acknowledged: Readonly<Record<string, number>>;
  publish: (events: readonly RuntimeEvent[]) => Promise<unknown>;
}

/** What a dead run's lines say about its end. */
export interface LastWords {
  step: number;
  failed?: RuntimeEvent & { type: 'failed' };
  result?: RuntimeEvent & { type: 'result' };
  lastSeq: Record<string, number>;
}

const BATCH = 200;

/** Publishes every whole line that the dead runner did not, in order, and says what the lines tell of the end. */
export async function forwardLeftovers({ outputDir, acknowledged, publish }: LeftoverOptions): Promise<LastWords> {
  const words: LastWords = { step: 0, lastSeq: {} };
  for (const name of (await readdir(outputDir).catch(() => [])).sort()) {
    const rank = /^events\.(\d+)\.jsonl$/.exec(name)?.[1];
    if (rank === undefined) continue;
    let batch: RuntimeEvent[] = [];
    for await (const event of wholeLines(join(outputDir, name))) {
      hear(words, event);
      words.lastSeq[rank] = Math.max(words.lastSeq[rank] ?? 0, event.seq);
      if (event.seq <= (acknowledged[rank] ?? 0)) continue;
      batch.push(event);
      if (batch.length < BATCH) continue;
      await publish(batch);
      batch = [];
    }
    if (batch.length > 0) await publish(batch);
  }
  return words;
}

/** A line without its newline does not count; lines of unknown form stay in the file. */
async function* wholeLines(path: string): AsyncGenerator<RuntimeEvent> {
  const end = await endOfLastLine(path);
  if (end === 0) return;
  for await (const line of createInterface({ input: createReadStream(path, { end: end - 1 }), crlfDelay: Infinity })) {
    const event = parse(line);
    if (event) yield event;
  }
}

async function endOfLastLine(path: string): Promise<number> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    const chunk = Buffer.alloc(64 * 1024);
    for (let end = size; end > 0; end -= chunk.length) {
      const start = Math.max(0, end - chunk.length);
      const { bytesRead } = await handle.read(chunk, 0, end - start, start);
      const newline = chunk.subarray(0, bytesRead).lastIndexOf(0x0a);
      if (newline >= 0) return start + newline + 1;
    }
    return 0;
  } finally {
    await handle.close();
  }
}

function parse(line: string): RuntimeEvent | undefined {
  try {
    return runtimeEvent.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

function hear(words: LastWords, event: RuntimeEvent): void {
  if ('step' in event) words.step = Math.max(words.step, event.step);
  if (event.type === 'failed') words.failed = moreTelling(words.failed, event);
  if (event.type === 'result') words.result = event;
}
