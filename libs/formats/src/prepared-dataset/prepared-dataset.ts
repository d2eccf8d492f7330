import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { preparedManifest } from '@luthier/contracts';
import type { PreparedManifest } from '@luthier/contracts';
import { FormatError } from '../format-error.js';
import { readFully } from '../safetensors/read-safetensors.js';
import { PREPARED_MANIFEST_FILE } from './prepared-row.js';
import type { PreparedRow } from './prepared-row.js';
import { PreparedShard } from './prepared-shard.js';

const MANIFEST_BYTES_MAX = 25_000_000;
const SHARD_HEADER_BYTES = 4096;

export interface OpenPreparedDatasetOptions {
  /** Refuse a manifest with another sha256. */
  readonly expectedSha256?: string;
  /** Compare every shard's sha256 with the manifest. Default true. */
  readonly verify?: boolean;
  /** A dataset up to this size is kept in memory whole; a larger one is read row by row. Default 64 MiB. */
  readonly memoryBytesMax?: number;
}

/** A prepared dataset opened for reading by global row number. Close it after use. */
export class PreparedDataset {
  constructor(
    readonly dir: string,
    readonly manifest: PreparedManifest,
    /** sha256 of `manifest.json`. */
    readonly sha256: string,
    private readonly shards: readonly PreparedShard[],
    private readonly firstRows: readonly number[],
  ) {}

  get rows(): number {
    return this.manifest.rows;
  }

  /** Number of tokens of a row, without reading it. */
  rowLength(index: number): number {
    const { shard, row } = this.locate(index);
    return shard.length(row);
  }

  /** A row by its global number, from 0. The arrays are the caller's own. */
  async row(index: number): Promise<PreparedRow> {
    const { shard, row } = this.locate(index);
    return shard.row(row);
  }

  /** All rows in stored order. */
  async *[Symbol.asyncIterator](): AsyncGenerator<PreparedRow> {
    for (let index = 0; index < this.rows; index += 1) yield this.row(index);
  }

  async close(): Promise<void> {
    await Promise.all(this.shards.map((shard) => shard.close()));
  }

  private locate(index: number): { shard: PreparedShard; row: number } {
    if (!Number.isSafeInteger(index) || index < 0 || index >= this.rows) {
      throw new FormatError('format.out-of-bounds', `Row ${index} does not exist; the dataset has ${this.rows}.`, {
        index,
      });
    }
    let low = 0;
    let high = this.shards.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.firstRows[middle] ?? 0) <= index) low = middle;
      else high = middle - 1;
    }
    const shard = this.shards[low];
    if (!shard) throw new FormatError('format.out-of-bounds', `Row ${index} does not exist.`, { index });
    return { shard, row: index - (this.firstRows[low] ?? 0) };
  }
}

async function readManifest(dir: string): Promise<{ manifest: PreparedManifest; sha256: string }> {
  const handle = await open(join(dir, PREPARED_MANIFEST_FILE), 'r');
  let bytes: Uint8Array;
  try {
    const { size } = await handle.stat();
    if (size > MANIFEST_BYTES_MAX)
      throw new FormatError('format.too-large', `The manifest has ${size} bytes.`, { dir });
    bytes = new Uint8Array(size);
    await readFully(handle, bytes, 0);
  } finally {
    await handle.close();
  }
  let content: unknown;
  try {
    content = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new FormatError('format.malformed', 'The manifest of the prepared dataset is not JSON.', { dir }, { cause });
  }
  const parsed = preparedManifest.safeParse(content);
  if (!parsed.success) {
    throw new FormatError(
      'format.malformed',
      `The manifest of the prepared dataset is not valid: ${parsed.error.message}`,
      { dir },
    );
  }
  refuseWrongTotals(parsed.data);
  return { manifest: parsed.data, sha256: createHash('sha256').update(bytes).digest('hex') };
}

function refuseWrongTotals(manifest: PreparedManifest): void {
  for (const field of ['rows', 'tokens', 'trainedTokens'] as const) {
    const total = manifest.shards.reduce((sum, shard) => sum + shard[field], 0);
    if (total !== manifest[field]) {
      throw new FormatError(
        'format.malformed',
        `The manifest counts ${manifest[field]} ${field}, its shards ${total}.`,
      );
    }
  }
  const oddShard = manifest.kind === 'preference' && manifest.shards.some((shard) => shard.rows % 2 !== 0);
  if (oddShard) throw new FormatError('format.malformed', 'A shard of preference data must hold whole pairs.');
}

/** Opens a prepared dataset: checks the manifest, every shard's sha256 (unless told not to) and its structure. */
export async function openPreparedDataset(
  dir: string,
  options: OpenPreparedDatasetOptions = {},
): Promise<PreparedDataset> {
  const { manifest, sha256 } = await readManifest(dir);
  if (options.expectedSha256 !== undefined && options.expectedSha256 !== sha256) {
    throw new FormatError('format.checksum-mismatch', 'The manifest is not the one that was asked for.', {
      expected: options.expectedSha256,
      actual: sha256,
    });
  }
  const sizeBytes = manifest.rows * 25 + manifest.tokens * 5 + manifest.shards.length * SHARD_HEADER_BYTES;
  const open = { verify: options.verify ?? true, inMemory: sizeBytes <= (options.memoryBytesMax ?? 64 * 1024 * 1024) };
  const shards: PreparedShard[] = [];
  const firstRows: number[] = [];
  try {
    let rows = 0;
    for (const entry of manifest.shards) {
      shards.push(await PreparedShard.open(join(dir, entry.file), entry, manifest.kind === 'kto', open));
      firstRows.push(rows);
      rows += entry.rows;
    }
  } catch (error) {
    await Promise.all(shards.map((shard) => shard.close()));
    throw error;
  }
  return new PreparedDataset(dir, manifest, sha256, shards, firstRows);
}
