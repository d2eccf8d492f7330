import { createHash } from 'node:crypto';
import { mkdir, open, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { preparedManifest } from '@luthier/contracts';
import type { PreparedManifest } from '@luthier/contracts';
import { FormatError } from '../format-error.js';
import { fsyncFolder, writeSafetensors } from '../safetensors/write-safetensors.js';
import { PREPARED_MANIFEST_FILE, SHARD_BYTES_MAX, itemsFileName, shardFileName } from './prepared-row.js';
import type { PreparedRow, StoredKind } from './prepared-row.js';
import { ShardBuffer } from './shard-buffer.js';

export interface PreparedDatasetOptions {
  readonly kind: StoredKind;
  readonly cutoffLength: number;
  readonly tokenizerSha256: string;
  readonly templateSha256: string;
  /** Largest shard file; at most 256 MiB, which is the default. One shard is held in memory while it fills. */
  readonly shardBytesMax?: number;
  readonly fsync?: boolean;
}

export interface PreparedSource {
  readonly fileId: string;
  readonly sha256: string;
  readonly unit: 'line' | 'row';
}

export interface RowToStore extends PreparedRow {
  /** The row was cut to the cutoff length; counted for its source. */
  readonly truncated?: boolean;
}

export interface FinishedDataset {
  readonly dir: string;
  readonly manifest: PreparedManifest;
  /** sha256 of `manifest.json`: the dataset's address. */
  readonly sha256: string;
}

type SourceCounts = PreparedManifest['sources'][number];
type Shard = PreparedManifest['shards'][number];

/** Writes a prepared dataset row by row; shards go to disk as they fill, the manifest last. */
export class PreparedDatasetWriter {
  private readonly buffer: ShardBuffer;
  private readonly sources: SourceCounts[] = [];
  private readonly shards: Shard[] = [];
  private readonly shardBytesMax: number;
  private finished = false;

  private constructor(
    readonly dir: string,
    private readonly options: PreparedDatasetOptions,
  ) {
    this.buffer = new ShardBuffer(options.kind);
    this.shardBytesMax = Math.min(options.shardBytesMax ?? SHARD_BYTES_MAX, SHARD_BYTES_MAX);
  }

  /** Makes the folder when it is missing. */
  static async create(dir: string, options: PreparedDatasetOptions): Promise<PreparedDatasetWriter> {
    await mkdir(dir, { recursive: true });
    return new PreparedDatasetWriter(dir, options);
  }

  /** Declares a source file and returns its index, the rows' `sourceFile`. */
  addSource(source: PreparedSource): number {
    return this.sources.push({ ...source, rows: 0, cutRows: 0, droppedRows: 0 }) - 1;
  }

  /** Counts a row that could not be used at all. */
  countDropped(sourceFile: number, rows = 1): void {
    this.source(sourceFile).droppedRows += rows;
  }

  /** Stores a row; one without a trained token is dropped and counted instead. Not for preference data. */
  async addRow(row: RowToStore): Promise<'stored' | 'dropped'> {
    if (this.options.kind === 'preference')
      throw new FormatError('format.invalid-input', 'Preference data is stored in pairs.');
    return this.store([row]);
  }

  /** Stores a chosen and a rejected row side by side; a pair of which either has no trained token is dropped. */
  async addPair(chosen: RowToStore, rejected: RowToStore): Promise<'stored' | 'dropped'> {
    if (this.options.kind !== 'preference')
      throw new FormatError('format.invalid-input', 'Only preference data is stored in pairs.');
    const { promptLength } = chosen;
    const samePrompt =
      promptLength === rejected.promptLength &&
      chosen.tokens.subarray(0, promptLength).every((token, i) => token === rejected.tokens[i]);
    if (!samePrompt)
      throw new FormatError('format.invalid-input', 'Chosen and rejected must begin with the same prompt tokens.');
    return this.store([chosen, rejected]);
  }

  /** Writes the last shard and the manifest. The writer cannot be used afterwards. */
  async finish(): Promise<FinishedDataset> {
    this.refuseFinished();
    await this.flush();
    this.finished = true;
    const { kind, cutoffLength, tokenizerSha256, templateSha256 } = this.options;
    const sum = (field: 'rows' | 'tokens' | 'trainedTokens'): number =>
      this.shards.reduce((total, shard) => total + shard[field], 0);
    const totals = { rows: sum('rows'), tokens: sum('tokens'), trainedTokens: sum('trainedTokens') };
    const content = {
      kind,
      ...totals,
      cutoffLength,
      tokenizerSha256,
      templateSha256,
      sources: this.sources,
      shards: this.shards,
    };
    const manifest = preparedManifest.parse({ version: 1, ...content });
    const bytes = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
    const path = join(this.dir, PREPARED_MANIFEST_FILE);
    const handle = await open(`${path}.tmp`, 'w');
    try {
      await handle.writeFile(bytes);
      if (this.options.fsync) await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(`${path}.tmp`, path);
    if (this.options.fsync) await fsyncFolder(this.dir);
    return { dir: this.dir, manifest, sha256: createHash('sha256').update(bytes).digest('hex') };
  }

  private async store(rows: readonly RowToStore[]): Promise<'stored' | 'dropped'> {
    this.refuseFinished();
    const trained = rows.map((row) => this.check(row));
    if (trained.includes(0) && this.options.kind !== 'prompts') {
      for (const row of rows) this.source(row.sourceFile).droppedRows += 1;
      return 'dropped';
    }
    const tokens = rows.reduce((sum, row) => sum + row.tokens.length, 0);
    if (this.buffer.rows > 0 && this.buffer.sizeBytesWith(rows.length, tokens) > this.shardBytesMax) await this.flush();
    if (this.buffer.sizeBytesWith(rows.length, tokens) > this.shardBytesMax) {
      throw new FormatError('format.too-large', `A row of ${tokens} tokens does not fit into one shard.`);
    }
    rows.forEach((row, i) => {
      this.buffer.append(row, trained[i] ?? 0);
      const source = this.source(row.sourceFile);
      source.rows += 1;
      if (row.truncated) source.cutRows += 1;
    });
    return 'stored';
  }

  /** Number of trained tokens of a row that keeps the format's rules. */
  private check(row: RowToStore): number {
    const { tokens, trained, promptLength, sourceLine } = row;
    const fail = (why: string): never => {
      throw new FormatError('format.invalid-input', `Row from line ${sourceLine}: ${why}`, { sourceLine });
    };
    if (tokens.length !== trained.length) fail('tokens and trained differ in length.');
    if (tokens.length > this.options.cutoffLength)
      fail(`${tokens.length} tokens are more than the cutoff ${this.options.cutoffLength}.`);
    if (!Number.isSafeInteger(promptLength) || promptLength < 0 || promptLength > tokens.length)
      fail('promptLength lies outside the row.');
    if (!Number.isSafeInteger(sourceLine) || sourceLine < 1) fail('lines count from 1.');
    if (this.options.kind === 'kto' && row.label === undefined) fail('a KTO row needs a label.');
    if (this.options.kind === 'prompts' && (row.item === undefined || trained.includes(1)))
      fail('a prompt has an item, and nothing that is trained.');
    if (trained[0] === 1) fail('the first token cannot be trained: nothing predicts it.');
    let count = 0;
    for (const flag of trained) {
      if (flag > 1) fail('trained holds 0 and 1 only.');
      count += flag;
    }
    return count;
  }

  private async flush(): Promise<void> {
    const { buffer } = this;
    if (buffer.rows === 0) return;
    const file = shardFileName(this.shards.length);
    const options = { fsync: this.options.fsync ?? false };
    const { sha256 } = await writeSafetensors(join(this.dir, file), buffer.tensors(), {}, options);
    const items = this.options.kind === 'prompts' && (await this.writeItems(itemsFileName(this.shards.length)));
    this.shards.push({
      file,
      sha256,
      rows: buffer.rows,
      tokens: buffer.tokenCount,
      trainedTokens: buffer.trainedTokens,
      ...(items && { items }),
    });
    buffer.clear();
  }

  private async writeItems(file: string): Promise<{ file: string; sha256: string }> {
    const lines = this.buffer.itemLines();
    await writeFile(join(this.dir, file), lines, { flush: this.options.fsync ?? false });
    return { file, sha256: createHash('sha256').update(lines).digest('hex') };
  }

  private source(index: number): SourceCounts {
    const source = this.sources[index];
    if (!source) throw new FormatError('format.invalid-input', `No source ${index} was declared.`);
    return source;
  }

  private refuseFinished(): void {
    if (this.finished) throw new FormatError('format.invalid-input', 'The dataset is already finished.');
  }
}
