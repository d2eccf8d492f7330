import { describe, expect, it } from '@jest/globals';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir } from '@luthier/testing';
import { EventTail } from './event-tail.js';

const line = (seq: number): string =>
  JSON.stringify({ type: 'heartbeat', seq, rank: 0, time: '2026-01-01T00:00:00Z', step: seq });

describe('EventTail', () => {
  it('counts a line only with its newline, also when it comes in pieces', async () => {
    const path = join(await tempDir('tail'), 'events.0.jsonl');
    const tail = new EventTail(path);
    expect(await tail.read()).toEqual([]); // not there yet
    await appendFile(path, `${line(1)}\n${line(2).slice(0, 10)}`);
    expect((await tail.read()).map(({ event }) => event.seq)).toEqual([1]);
    await appendFile(path, `${line(2).slice(10)}\n`);
    expect((await tail.read()).map(({ event }) => event.seq)).toEqual([2]);
    await tail.close();
  });

  it('passes over lines that no contract knows, are not JSON or are too long, and goes on behind them', async () => {
    const path = join(await tempDir('tail'), 'events.0.jsonl');
    await appendFile(path, `not json\n{"type":"novel","seq":1}\n${'x'.repeat(700_000)}\n${line(4)}\n`);
    const tail = new EventTail(path);
    const seen: number[] = [];
    for (let turn = 0; turn < 5; turn++) seen.push(...(await tail.read()).map(({ event }) => event.seq));
    expect(seen).toEqual([4]);
    expect(tail.unknownLines).toBe(3);
    await tail.close();
  });
});
