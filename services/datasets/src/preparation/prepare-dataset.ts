import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { AppError, ROWS_OF_PREPARED } from '@luthier/contracts';
import type { DatasetRecord } from '@luthier/contracts';
import { artifactUri } from '@luthier/artifacts';
import type { ArtifactStore } from '@luthier/artifacts';
import { PREPARED_MANIFEST_FILE, PreparedDatasetWriter, readTrainingRows } from '@luthier/formats';
import type { FileRow, RowToStore, TrainingRow } from '@luthier/formats';
import { TextError, loadChatTemplate, loadTokenizer } from '@luthier/text';
import { encodeRow } from './encode-row.js';
import type { EncodedUnit, TextParts } from './encode-row.js';
import { mixedRowCount, pickRows } from './mix-rows.js';
import type { PreparationOrder, SourceFile } from './preparation-order.js';
import { UnitLengths } from './unit-lengths.js';

/** Rows that are rendered together; the template's thread works while tokens are counted here. */
const BATCH_ROWS = 32;

export type PreparedFields = Pick<
  DatasetRecord,
  'sources' | 'rows' | 'tokens' | 'trainedTokens' | 'longestRowTokens' | 'longestPassTokens' | 'artifact'
>;

interface UsableRow {
  readonly line: number;
  readonly row: TrainingRow;
}

/** Rows of one file, as the file counts them. */
type RowCounts = Omit<DatasetRecord['sources'][number], 'fileId' | 'filename'>;

/** One preparation: rows in, shards and counts out. */
class Preparation {
  private readonly lengths = new UnitLengths();
  private firstRefusal: string | undefined;
  private readonly counts: RowCounts[] = [];

  constructor(
    private readonly store: ArtifactStore,
    private readonly order: PreparationOrder,
    private readonly writer: PreparedDatasetWriter,
    private readonly text: TextParts,
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
    const sources = this.counts.map((counts, i) => {
      const { fileId = '', filename = '' } = all[i] ?? {};
      return { fileId, filename, ...counts };
    });
    const { tokens, trainedTokens } = manifest;
    return {
      sources,
      rows: manifest.rows / this.rowsPerUnit,
      tokens,
      trainedTokens,
      longestRowTokens: this.lengths.longestRow,
      longestPassTokens: this.lengths.longestPass,
      manifestSha256: sha256,
      dir,
      shards: manifest.shards.flatMap(({ file, items }) => [file, ...(items ? [items.file] : [])]),
    };
  }

  private get rowsPerUnit(): 1 | 2 {
    return this.order.kind === 'preference' ? 2 : 1;
  }

  private async countUsable(file: SourceFile): Promise<number> {
    let usable = 0;
    for await (const { row } of readTrainingRows(await this.store.get(file.uri))) if (row) usable += 1;
    return usable;
  }

  /** Adds the usable rows of a file that `wanted` names by position. Returns how many were stored. */
  private async addFile(file: SourceFile, wanted: (position: number) => boolean): Promise<number> {
    const content = await this.store.get(file.uri);
    const counts: RowCounts = { rows: 0, usedRows: 0, droppedRows: 0, cutRows: 0 };
    this.counts.push(counts);
    const wantedKind = ROWS_OF_PREPARED[this.order.kind];
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
        this.writer.countDropped(source, this.rowsPerUnit);
        counts.droppedRows += 1;
        continue;
      }
      if (row.kind !== wantedKind) {
        const message = `${file.filename} holds ${row.kind}; ${wantedKind} are wanted`;
        throw new AppError('file.wrong-rows', message);
      }
      position += 1;
      if (!wanted(position - 1)) continue;
      batch.push({ line, row });
      if (batch.length < BATCH_ROWS) continue;
      await this.addBatch(batch, source, counts);
      batch = [];
    }
    declare('line');
    await this.addBatch(batch, source, counts);
    return counts.usedRows;
  }

  private async addBatch(batch: readonly UsableRow[], source: number, counts: RowCounts): Promise<void> {
    const encoded = await Promise.all(
      batch.map(({ row }) =>
        encodeRow(row, this.text).catch((thrown: unknown) => {
          if (!(thrown instanceof TextError)) throw thrown;
          return thrown;
        }),
      ),
    );
    for (const [i, units] of encoded.entries()) {
      const line = batch[i]?.line ?? 0;
      if (units instanceof TextError) this.firstRefusal ??= `Row ${line}: ${units.message}`;
      const stored =
        units instanceof TextError ? [] : await this.storeUnits(units, { sourceLine: line, sourceFile: source });
      if (stored.length === 0) counts.droppedRows += 1;
      else counts.usedRows += 1;
      if (stored.flat().some(({ truncated }) => truncated)) counts.cutRows += 1;
      if (units instanceof TextError || units.length === 0) this.writer.countDropped(source, this.rowsPerUnit);
    }
  }

  /** Gives back what was stored: units without a trained token are left out, and counted by the writer. */
  private async storeUnits(
    units: readonly EncodedUnit[],
    place: Pick<RowToStore, 'sourceLine' | 'sourceFile'>,
  ): Promise<EncodedUnit[]> {
    const stored: EncodedUnit[] = [];
    for (const unit of units) {
      const [first, second] = unit;
      const answer = second
        ? await this.writer.addPair({ ...first, ...place }, { ...second, ...place })
        : await this.writer.addRow({ ...first, ...place });
      if (answer === 'dropped') continue;
      stored.push(unit);
      this.lengths.add(unit);
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
      kind: order.kind,
      cutoffLength: order.cutoffLength,
      tokenizerSha256: tokenizer.sha256,
      templateSha256: template.sha256,
    });
    const text = { tokenizer, template, cutoffLength: order.cutoffLength };
    const { dir, shards, manifestSha256, ...counts } = await new Preparation(store, order, writer, text).run();
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
