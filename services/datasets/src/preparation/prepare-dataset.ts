import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { AppError } from '@luthier/contracts';
import type { DatasetRecord } from '@luthier/contracts';
import { artifactUri } from '@luthier/artifacts';
import type { ArtifactStore } from '@luthier/artifacts';
import { PREPARED_MANIFEST_FILE, PreparedDatasetWriter, readTrainingRows } from '@luthier/formats';
import type { FileRow, TrainingRow } from '@luthier/formats';
import { TextError, encodeConversation, loadChatTemplate, loadTokenizer } from '@luthier/text';
import type { ChatTemplate, TextTokenizer } from '@luthier/text';
import { mixedRowCount, pickRows } from './mix-rows.js';
import type { PreparationOrder, SourceFile } from './preparation-order.js';

/** Rows that are rendered together; the template's thread works while tokens are counted here. */
const BATCH_ROWS = 32;

export type PreparedFields = Pick<
  DatasetRecord,
  'sources' | 'rows' | 'tokens' | 'trainedTokens' | 'longestRowTokens' | 'artifact'
>;

interface UsableRow {
  readonly line: number;
  readonly row: TrainingRow;
}

/** One preparation: rows in, shards and counts out. */
class Preparation {
  private longestRowTokens = 0;
  private firstRefusal: string | undefined;
  private readonly counts: { rows: number; used: number }[] = [];

  constructor(
    private readonly store: ArtifactStore,
    private readonly order: PreparationOrder,
    private readonly writer: PreparedDatasetWriter,
    private readonly tokenizer: TextTokenizer,
    private readonly template: ChatTemplate,
  ) {}

  async run(): Promise<Omit<PreparedFields, 'artifact'> & { manifestSha256: string; dir: string; shards: string[] }> {
    const { files, mix, seed } = this.order;
    let mainRows = 0;
    for (const file of files) mainRows += await this.addFile(file, () => true);
    if (mainRows > 0 && mix) {
      const available = await this.countUsable(mix.file);
      const picked = pickRows(available, mixedRowCount(mainRows, mix.share, available), seed);
      await this.addFile(mix.file, (position) => picked.has(position));
    }
    if (mainRows === 0) {
      throw new AppError(
        'dataset.no-trained-tokens',
        this.firstRefusal ?? 'No row of the training files is left to learn from',
      );
    }
    const { manifest, sha256, dir } = await this.writer.finish();
    const all = mix ? [...files, mix.file] : files;
    const sources = manifest.sources.map(({ fileId, cutRows, droppedRows }, i) => ({
      fileId,
      filename: all[i]?.filename ?? fileId,
      rows: this.counts[i]?.rows ?? 0,
      usedRows: this.counts[i]?.used ?? 0,
      droppedRows,
      cutRows,
    }));
    const { rows, tokens, trainedTokens } = manifest;
    return {
      sources,
      rows,
      tokens,
      trainedTokens,
      longestRowTokens: this.longestRowTokens,
      manifestSha256: sha256,
      dir,
      shards: manifest.shards.map(({ file }) => file),
    };
  }

  private async countUsable(file: SourceFile): Promise<number> {
    let usable = 0;
    for await (const { row } of readTrainingRows(await this.store.get(file.uri))) if (row) usable += 1;
    return usable;
  }

  /** Adds the usable rows of a file that `wanted` names by position. Returns how many were stored. */
  private async addFile(file: SourceFile, wanted: (position: number) => boolean): Promise<number> {
    const content = await this.store.get(file.uri);
    const counts = { rows: 0, used: 0 };
    this.counts.push(counts);
    let source = -1;
    let position = 0;
    let batch: UsableRow[] = [];
    const declare = (unit: FileRow['unit']): void => {
      if (source < 0) source = this.writer.addSource({ fileId: file.fileId, sha256: file.sha256, unit });
    };
    for await (const { line, unit, row } of readTrainingRows(content)) {
      declare(unit);
      counts.rows += 1;
      if (!row) {
        this.writer.countDropped(source);
        continue;
      }
      position += 1;
      if (!wanted(position - 1)) continue;
      batch.push({ line, row });
      if (batch.length < BATCH_ROWS) continue;
      counts.used += await this.addBatch(batch, source);
      batch = [];
    }
    declare('line');
    counts.used += await this.addBatch(batch, source);
    return counts.used;
  }

  private async addBatch(batch: readonly UsableRow[], source: number): Promise<number> {
    const { tokenizer, template } = this;
    const { cutoffLength, maskPolicy } = this.order;
    const encoded = await Promise.all(
      batch.map(({ row: { messages } }) =>
        encodeConversation({ messages, tokenizer, template, cutoffLength, maskPolicy }).catch((thrown: unknown) => {
          if (!(thrown instanceof TextError)) throw thrown;
          return thrown;
        }),
      ),
    );
    let stored = 0;
    for (const [i, row] of encoded.entries()) {
      const sourceLine = batch[i]?.line ?? 0;
      if (row instanceof TextError) {
        this.firstRefusal ??= `Row ${sourceLine}: ${row.message}`;
        this.writer.countDropped(source);
        continue;
      }
      const { tokens, trained, promptLength, truncated } = row;
      const answer = await this.writer.addRow({
        tokens,
        trained,
        promptLength,
        truncated,
        sourceLine,
        sourceFile: source,
      });
      if (answer === 'dropped') continue;
      stored += 1;
      this.longestRowTokens = Math.max(this.longestRowTokens, tokens.length);
    }
    return stored;
  }
}

/** Brings the model's text files to a local folder, checked against its manifest. */
async function fetchTextFiles(store: ArtifactStore, order: PreparationOrder, dir: string): Promise<void> {
  await mkdir(dir, { recursive: true });
  for (const { name } of order.modelFiles) {
    await pipeline(await store.get(`${order.model.uri}/${name}`), createWriteStream(join(dir, name)));
  }
}

/**
 * Renders, tokenises and masks every row of the order and stores the result under `artifact://datasets/<datasetId>`.
 * @throws AppError `dataset.no-trained-tokens`, `model.unreadable`.
 */
export async function prepareDataset(options: {
  store: ArtifactStore;
  order: PreparationOrder;
  datasetId: string;
  tempDir: string;
}): Promise<PreparedFields> {
  const { store, order, datasetId, tempDir } = options;
  await rm(tempDir, { recursive: true, force: true });
  const modelDir = join(tempDir, 'model');
  await fetchTextFiles(store, order, modelDir);
  const tokenizer = await loadTokenizer(modelDir);
  const template = await loadChatTemplate(modelDir);
  try {
    const writer = await PreparedDatasetWriter.create(join(tempDir, 'out'), {
      kind: 'sft',
      cutoffLength: order.cutoffLength,
      tokenizerSha256: tokenizer.sha256,
      templateSha256: template.sha256,
    });
    const { dir, shards, manifestSha256, ...counts } = await new Preparation(
      store,
      order,
      writer,
      tokenizer,
      template,
    ).run();
    const uri = artifactUri('datasets', datasetId);
    for (const name of shards) await store.put(`${uri}/${name}`, createReadStream(join(dir, name)));
    const manifest = createReadStream(join(dir, PREPARED_MANIFEST_FILE));
    await store.put(`${uri}/${PREPARED_MANIFEST_FILE}`, manifest, { expectedSha256: manifestSha256 });
    return { ...counts, artifact: { uri, sha256: manifestSha256 } };
  } finally {
    await template.close();
    await rm(tempDir, { recursive: true, force: true });
  }
}
