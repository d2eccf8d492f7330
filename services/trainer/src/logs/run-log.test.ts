import { appendFile, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FileArtifactStore } from '@luthier/artifacts';
import { logCursor, newId } from '@luthier/contracts';
import { tempDir } from '@luthier/testing';
import { AttemptLogs, wholeCharacters } from './attempt-logs.js';
import type { LogKey, LogPiece } from './attempt-logs.js';
import { FolderLogs } from './folder-logs.js';
import { lastLines, linesAfter, placeOfLines } from './log-lines.js';
import { RunLog } from './run-log.js';
import { StoredLogs } from './stored-logs.js';

let dir: string;
let runId: string;
let store: FileArtifactStore;
let log: RunLog;
beforeEach(async () => {
  dir = await tempDir('run-log');
  runId = newId('run');
  store = new FileArtifactStore(join(dir, 'artifacts'));
  log = new RunLog([new FolderLogs(join(dir, 'runs')), new StoredLogs(store)]);
});

const folderOf = (attempt: number): string => join(dir, 'runs', runId, String(attempt));
const write = async (attempt: number, text: string): Promise<void> => {
  await mkdir(folderOf(attempt), { recursive: true });
  await appendFile(join(folderOf(attempt), 'log.txt'), text);
};
/** As a runner does with a log that has become too large. */
const rotate = (attempt: number): Promise<void> =>
  rename(join(folderOf(attempt), 'log.txt'), join(folderOf(attempt), 'log.txt.1'));
const keep = (attempt: number, text: string, name = 'log.txt.gz'): Promise<unknown> =>
  store.put(`artifact://runs/${runId}/${attempt}/1/${name}`, gzipSync(text));
/** Reads on until nothing comes, also of the next attempt. */
async function readOn(cursor: string): Promise<{ text: string; cursor: string; truncated: boolean }> {
  let [text, truncated, quiet] = ['', false, 0];
  while (quiet < 2) {
    const piece = await log.after(runId, 0, cursor);
    expect(logCursor.safeParse(piece.cursor).success).toBe(true);
    quiet = piece.text === '' && piece.cursor === cursor ? quiet + 1 : 0;
    text += piece.text;
    truncated ||= piece.truncated;
    ({ cursor } = piece);
  }
  return { text, cursor, truncated };
}

describe('the log of a run in a folder', () => {
  it('is followed from its end without gap or double, over files that become too large', async () => {
    await write(1, 'one\n');
    const first = await log.end(runId, 0, 1_000);
    expect(first).toMatchObject({ text: 'one\n', truncated: false });
    await write(1, 'two\n');
    await rotate(1);
    await write(1, 'thrée 三\n');
    const second = await readOn(first.cursor);
    expect(second).toMatchObject({ text: 'two\nthrée 三\n', truncated: false });
    await rotate(1);
    await write(1, 'four\n');
    expect((await readOn(second.cursor)).text).toBe('four\n');
  });

  it('says that something is left out when two files were filled in between', async () => {
    await write(1, 'one\n');
    const { cursor } = await log.end(runId, 0, 1_000);
    await rotate(1);
    await write(1, 'lost\n');
    await rm(join(folderOf(1), 'log.txt.1'));
    await rotate(1);
    await write(1, 'two\n');
    expect(await readOn(cursor)).toMatchObject({ truncated: true });
  });

  it('goes on with the next attempt, and from the store when the folder is gone', async () => {
    await write(1, 'a1 first\n');
    const { cursor } = await log.end(runId, 0, 1_000);
    await write(1, 'a1 last\n');
    await write(2, 'a2 first\n');
    const next = await readOn(cursor);
    expect(next.text).toBe('a1 last\na2 first\n');
    await keep(1, 'a1 first\na1 last\n');
    await keep(2, 'a2 first\na2 last\n');
    await rm(join(dir, 'runs', runId), { recursive: true });
    expect((await readOn(next.cursor)).text).toBe('a2 last\n');
  });

  it('gives all of the run to whoever comes with the cursor of another', async () => {
    await write(1, 'one\n');
    expect((await readOn(`${'z'.repeat(20)}.3.f1-100`)).text).toBe('one\n');
    await expect(log.end(newId('run'), 0, 100)).rejects.toMatchObject({ code: 'run.not-found' });
  });

  it('never cuts a character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.nat(60), (text, at) => {
        const bytes = Buffer.from(text);
        const head = wholeCharacters(bytes.subarray(0, at));
        expect(head.toString() + bytes.subarray(head.length).toString()).toBe(text);
      }),
    );
  });
});

describe('the log of a pod', () => {
  const timed = (lines: readonly string[]): string =>
    lines.map((text, n) => `2026-01-01T00:00:${String(10 + n)}.000000001Z ${text}\n`).join('');
  const all = ['one', 'two', 'three', 'four', 'five'];

  it('is handed out line by line once, in pieces that are bounded', () => {
    let place = { podUid: 'p', position: undefined } as Parameters<typeof linesAfter>[1];
    const pieces: string[] = [];
    for (let n = 0; n < all.length; n += 1) {
      const { text, at } = linesAfter(timed(all), place, { limitBytes: 5, whole: false });
      pieces.push(text);
      place = placeOfLines(at) ?? place;
    }
    expect(pieces).toEqual(all.map((text) => `${text}\n`));
  });

  it('waits for the rest of a line that is being written, unless nothing more can come', () => {
    const place = { podUid: 'p', position: undefined };
    const text = timed(['one', 'half']).slice(0, -1);
    expect(linesAfter(text, place, { limitBytes: 99, whole: false }).text).toBe('one\n');
    expect(linesAfter(text, place, { limitBytes: 99, whole: true }).text).toBe('one\nhalf\n');
  });

  it('is read to its end when the pod is gone, and says when something is lost', async () => {
    const { at } = lastLines(timed(all.slice(0, 2)), 'uid-1', 100, false);
    await keep(1, all.join('\n'));
    await keep(1, timed(all), 'timed-log.txt.gz');
    const cursor = `${runId.slice(-20)}.1.${at}`;
    expect(await readOn(cursor)).toMatchObject({ text: 'three\nfour\nfive\n', truncated: false });
    await keep(1, timed(all).split('\n').slice(3).join('\n'), 'timed-log.txt.gz');
    expect(await readOn(cursor)).toMatchObject({ text: 'four\nfive\n', truncated: true });
  });

  it('can be read by any replica: nothing is kept between two answers', async () => {
    class Pods extends AttemptLogs {
      override newest = (): Promise<number> => Promise.resolve(1);
      override end = (_: LogKey, bytes: number): Promise<LogPiece> =>
        Promise.resolve(lastLines(timed(all.slice(0, 3)), 'uid-1', bytes, false));
      override after = (_: LogKey, at: string, limitBytes: number): Promise<LogPiece | undefined> => {
        const place = placeOfLines(at);
        return Promise.resolve(place && linesAfter(timed(all), place, { limitBytes, whole: false }));
      };
    }
    const one = await new RunLog([new Pods()]).end(runId, 0, 1_000);
    const other = await new RunLog([new Pods()]).after(runId, 0, one.cursor);
    expect(one.text + other.text).toBe(all.map((text) => `${text}\n`).join(''));
  });
});
