import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSafetensors } from '../safetensors/read-safetensors.js';
import { PreparedDatasetWriter } from './prepared-dataset-writer.js';
import type { PreparedDatasetOptions, RowToStore } from './prepared-dataset-writer.js';
import { openPreparedDataset } from './prepared-dataset.js';

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'prepared-'));
});
afterAll(async () => rm(dir, { recursive: true, force: true }));

const hash = 'a'.repeat(64);
const options: PreparedDatasetOptions = {
  kind: 'sft',
  cutoffLength: 64,
  tokenizerSha256: hash,
  templateSha256: hash,
  shardBytesMax: 6000,
};
const source = { fileId: 'file-1', sha256: hash, unit: 'line' } as const;
const makeRow = (line: number, length = 5 + (line % 7)): RowToStore => ({
  tokens: Int32Array.from({ length }, (_, i) => line * 100 + i),
  trained: Uint8Array.from({ length }, (_, i) => (i > 2 ? 1 : 0)),
  promptLength: 3,
  sourceLine: line,
  sourceFile: 0,
});

async function writeRows(
  name: string,
  rows: number,
  change: Partial<PreparedDatasetOptions> = {},
): Promise<{ path: string; sha256: string; shards: number }> {
  const path = join(dir, name);
  const writer = await PreparedDatasetWriter.create(path, { ...options, ...change });
  writer.addSource(source);
  for (let line = 1; line <= rows; line += 1) await writer.addRow({ ...makeRow(line), truncated: line === 1 });
  const { manifest, sha256 } = await writer.finish();
  expect(manifest.rows).toBe(rows);
  return { path, sha256, shards: manifest.shards.length };
}

describe('prepared dataset', () => {
  it.each([
    ['from memory', Infinity],
    ['row by row from disk', 0],
  ])('returns every row as written, over several shards, %s', async (_how, memoryBytesMax) => {
    const { path, sha256, shards } = await writeRows(`many-${memoryBytesMax}`, 200);
    expect(shards).toBeGreaterThan(3);
    const dataset = await openPreparedDataset(path, { expectedSha256: sha256, memoryBytesMax });
    expect(dataset.rows).toBe(200);
    for (const index of [199, 0, 57, 58, 120]) {
      const expected = makeRow(index + 1);
      expect(await dataset.row(index)).toEqual(expected);
      expect(dataset.rowLength(index)).toBe(expected.tokens.length);
    }
    let seen = 0;
    for await (const row of dataset) expect(row.sourceLine).toBe((seen += 1));
    expect(seen).toBe(200);
    await expect(dataset.row(200)).rejects.toMatchObject({ code: 'format.out-of-bounds' });
    await dataset.close();
  });

  it('keeps shards below their limit, tensors by falling element size, offsets from 0 in each', async () => {
    const { path, shards } = await writeRows('layout', 200);
    for (let shard = 0; shard < shards; shard += 1) {
      const file = join(path, `shard-0000${shard}.safetensors`);
      expect((await stat(file)).size).toBeLessThanOrEqual(6000);
      const opened = await openSafetensors(file);
      expect([...opened.tensors.keys()]).toEqual([
        'rowOffsets',
        'sourceLine',
        'tokens',
        'promptLength',
        'sourceFile',
        'trained',
      ]);
      expect(new BigInt64Array((await opened.read('rowOffsets')).slice().buffer)[0]).toBe(0n);
      expect(opened.dataOffset % 8).toBe(0);
    }
  });

  it('has the same address for the same rows and another for other rows', async () => {
    const first = await writeRows('same-1', 20);
    expect((await writeRows('same-2', 20)).sha256).toBe(first.sha256);
    expect((await writeRows('other', 21)).sha256).not.toBe(first.sha256);
  });

  it('drops and counts rows without a trained token and counts cut rows', async () => {
    const writer = await PreparedDatasetWriter.create(join(dir, 'dropped'), options);
    writer.addSource(source);
    expect(await writer.addRow({ ...makeRow(1), trained: new Uint8Array(6) })).toBe('dropped');
    expect(await writer.addRow({ ...makeRow(2), truncated: true })).toBe('stored');
    writer.countDropped(0, 2);
    const { manifest } = await writer.finish();
    expect(manifest.sources[0]).toMatchObject({ rows: 1, cutRows: 1, droppedRows: 3 });
    expect(manifest.trainedTokens).toBe(4);
  });

  it('stores preference pairs side by side and never splits one over two shards', async () => {
    const path = join(dir, 'pairs');
    const writer = await PreparedDatasetWriter.create(path, { ...options, kind: 'preference' });
    writer.addSource(source);
    const other = { ...makeRow(1, 9), tokens: makeRow(1, 9).tokens.map((token, i) => (i < 3 ? token : 1)) };
    for (let pair = 0; pair < 60; pair += 1) await writer.addPair(makeRow(1), other);
    await expect(writer.addPair(makeRow(1), makeRow(2))).rejects.toMatchObject({ code: 'format.invalid-input' });
    const { manifest } = await writer.finish();
    expect(manifest.shards.length).toBeGreaterThan(1);
    expect(manifest.shards.every((shard) => shard.rows % 2 === 0)).toBe(true);
    const dataset = await openPreparedDataset(path);
    expect((await dataset.row(117)).tokens).toEqual(other.tokens);
    await dataset.close();
  });

  it('keeps the label of KTO rows', async () => {
    const path = join(dir, 'kto');
    const writer = await PreparedDatasetWriter.create(path, { ...options, kind: 'kto' });
    writer.addSource(source);
    await writer.addRow({ ...makeRow(1), label: 1 });
    await writer.addRow({ ...makeRow(2), label: 0 });
    await expect(writer.addRow(makeRow(3))).rejects.toMatchObject({ code: 'format.invalid-input' });
    await writer.finish();
    const dataset = await openPreparedDataset(path);
    expect([(await dataset.row(0)).label, (await dataset.row(1)).label]).toEqual([1, 0]);
    await dataset.close();
  });

  it('stores a prompt with its item, and refuses one without or with anything that is trained', async () => {
    const writer = await PreparedDatasetWriter.create(join(dir, 'prompts'), { ...options, kind: 'prompts' });
    writer.addSource(source);
    const { tokens, ...row } = makeRow(1);
    const prompt = { ...row, tokens, trained: new Uint8Array(tokens.length), promptLength: tokens.length };
    const refused = { code: 'format.invalid-input' };
    await expect(writer.addRow(prompt)).rejects.toMatchObject(refused);
    await expect(writer.addRow({ ...makeRow(1), item: {} })).rejects.toMatchObject(refused);
    expect(await writer.addRow({ ...prompt, item: { answer: 'x' } })).toBe('stored');
    const { manifest } = await writer.finish();
    expect(manifest).toMatchObject({ kind: 'prompts', rows: 1, trainedTokens: 0 });
    expect(await readFile(join(dir, 'prompts/items-00000.jsonl'), 'utf8')).toBe('{"answer":"x"}\n');
  });

  it.each([
    ['a trained first token', { trained: Uint8Array.of(1, 0, 0, 0, 0, 0) }],
    ['lengths that differ', { trained: new Uint8Array(3) }],
    ['a row longer than the cutoff', { tokens: new Int32Array(65), trained: new Uint8Array(65) }],
    ['a prompt longer than the row', { promptLength: 7 }],
    ['line 0', { sourceLine: 0 }],
    ['an undeclared source', { sourceFile: 3 }],
  ])('refuses to store %s', async (_what, change) => {
    const writer = await PreparedDatasetWriter.create(join(dir, 'refused'), options);
    writer.addSource(source);
    await expect(writer.addRow({ ...makeRow(1), ...change })).rejects.toMatchObject({ code: 'format.invalid-input' });
  });

  it('refuses a changed shard, another manifest and totals that do not add up', async () => {
    const { path } = await writeRows('tampered', 20);
    await expect(openPreparedDataset(path, { expectedSha256: hash })).rejects.toMatchObject({
      code: 'format.checksum-mismatch',
    });
    const shard = join(path, 'shard-00000.safetensors');
    const bytes = await readFile(shard);
    bytes[bytes.length - 1] = 7;
    await writeFile(shard, bytes);
    await expect(openPreparedDataset(path)).rejects.toMatchObject({ code: 'format.checksum-mismatch' });
    const manifest = JSON.parse(await readFile(join(path, 'manifest.json'), 'utf8')) as Record<string, unknown>;
    await writeFile(join(path, 'manifest.json'), JSON.stringify({ ...manifest, rows: 5 }));
    await expect(openPreparedDataset(path)).rejects.toMatchObject({ code: 'format.malformed' });
  });
});
