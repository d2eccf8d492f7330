import { expect, it } from '@jest/globals';
import fs, { createWriteStream } from 'node:fs';
import type { WriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { tempDir } from '@luthier/testing';
import { pipeToFile } from './pipe-to-file.js';

const { signal } = new AbortController();
async function* asItIs(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* source;
}

/** A file whose first write begins only when it is let; `begun` resolves when it would. */
function heldFile(path: string): { file: WriteStream; begun: Promise<() => void> } {
  const held = Promise.withResolvers<() => void>();
  const write = (...args: Parameters<typeof fs.write>): void => held.resolve(() => fs.write(...args));
  return { file: createWriteStream(path, { fs: { open: fs.open, close: fs.close, write } }), begun: held.promise };
}

it('a source that breaks is told only after the write that was under way', async () => {
  const path = join(await tempDir('pipe'), 'part');
  const { file, begun } = heldFile(path);
  const broken = Promise.withResolvers<void>();
  async function* source(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('what came');
    await broken.promise;
    throw new Error('the connection broke');
  }
  const told: unknown[] = [];
  const piped = pipeToFile(Readable.from(source()), asItIs, file, signal).catch((cause: unknown) => told.push(cause));
  const letWrite = await begun;
  broken.resolve();
  while (!file.destroyed) await new Promise(setImmediate);
  for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
  expect(told).toEqual([]);
  letWrite();
  await piped;
  expect(told).toEqual([new Error('the connection broke')]);
  expect([file.closed, await readFile(path, 'utf8')]).toEqual([true, 'what came']);
});

it('a file that cannot be opened is told', async () => {
  const file = createWriteStream(join(await tempDir('pipe'), 'none', 'part'));
  async function* source(): AsyncGenerator<Uint8Array> {
    yield Promise.resolve(Buffer.from('never kept'));
  }
  await expect(pipeToFile(Readable.from(source()), asItIs, file, signal)).rejects.toThrow('ENOENT');
});
