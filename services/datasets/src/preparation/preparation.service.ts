import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { ARTIFACT_MANIFEST_FILE, AppError, artifactManifest } from '@luthier/contracts';
import type { ArtifactManifest, ArtifactRef, DatasetRecord, Page, RequestOf } from '@luthier/contracts';
import type { prepareDataset as prepareRequest } from '@luthier/contracts';
import { readArtifact } from '@luthier/artifacts';
import type { ArtifactStore } from '@luthier/artifacts';
import type { Logger, ServiceMetrics } from '@luthier/service-kit';
import { startWorker } from '@luthier/service-kit/worker';
import { Counter, Histogram } from 'prom-client';
import type { FileStore } from '../files/file.store.js';
import { outlastOutage } from '../store-outage.js';
import { WorkQueue } from '../work-queue.js';
import type { DatasetStore, Unprepared } from './dataset.store.js';
import { TEXT_FILES, cacheKeyOf } from './preparation-order.js';
import type { PreparationOrder, SourceFile } from './preparation-order.js';
import type { PreparationInput } from './preparation.worker.js';
import type { PreparedFields } from './prepare-dataset.js';

export interface PreparationParts {
  readonly files: FileStore;
  readonly datasets: DatasetStore;
  readonly artifacts: ArtifactStore;
  readonly artifactsUrl: string;
  readonly workDir: string;
  readonly logger: Logger;
  readonly metrics: ServiceMetrics;
}

/** Prepares datasets in the background, one after the other; what a restart interrupted is begun again. */
export class PreparationService {
  private readonly queue: WorkQueue;
  private readonly duration: Histogram<'state'>;
  private readonly tokens: Counter;

  constructor(private readonly parts: PreparationParts) {
    this.queue = new WorkQueue(1, parts.logger);
    const registers = [parts.metrics.registry];
    this.duration = new Histogram({
      name: 'luthier_datasets_preparation_duration_seconds',
      help: 'Time to prepare a dataset, by how it ended.',
      labelNames: ['state'],
      buckets: [0.25, 1, 5, 30, 120, 600, 3_600],
      registers,
    });
    this.tokens = new Counter({
      name: 'luthier_datasets_prepared_tokens_total',
      help: 'Tokens in datasets that were prepared.',
      registers,
    });
  }

  async start(): Promise<void> {
    for (const dataset of await this.parts.datasets.unprepared()) this.enqueue(dataset);
  }

  stop(): Promise<void> {
    return this.queue.stop();
  }

  /** Answers the existing record for the same content; a failed one is tried again. */
  async prepare(request: RequestOf<typeof prepareRequest>): Promise<DatasetRecord> {
    const { mix } = request;
    const order: PreparationOrder = {
      files: await Promise.all(request.fileIds.map((fileId) => this.source(fileId))),
      mix: mix ? { file: await this.source(mix.fileId), share: mix.share } : null,
      model: request.model,
      modelFiles: await this.textFiles(request.model),
      cutoffLength: request.cutoffLength,
      kind: request.kind,
      seed: request.seed,
    };
    const record = await this.parts.datasets.open(cacheKeyOf(order), request.role, order);
    if (record.state === 'preparing') this.enqueue({ id: record.id, order });
    return record;
  }

  async get(datasetId: string): Promise<DatasetRecord> {
    const record = await this.parts.datasets.find(datasetId);
    if (!record)
      throw new AppError('dataset.not-found', `There is no dataset ${JSON.stringify(datasetId.slice(0, 100))}`);
    return record;
  }

  list(query: Parameters<DatasetStore['list']>[0]): Promise<Page<DatasetRecord>> {
    return this.parts.datasets.list(query);
  }

  private async source(fileId: string): Promise<SourceFile> {
    const file = await this.parts.files.find(fileId);
    if (!file) throw new AppError('file.not-found', `There is no file ${JSON.stringify(fileId.slice(0, 100))}`);
    const { filename, uri, sha256 } = file.record;
    return { fileId, filename, uri, sha256 };
  }

  private async textFiles(model: ArtifactRef): Promise<ArtifactManifest['files']> {
    const bytes = await readArtifact(this.parts.artifacts, `${model.uri}/${ARTIFACT_MANIFEST_FILE}`);
    if (createHash('sha256').update(bytes).digest('hex') !== model.sha256) {
      throw new AppError('model.unreadable', `The manifest of ${model.uri} is not the one that was named`);
    }
    const { files } = artifactManifest.parse(JSON.parse(bytes.toString('utf8')));
    return files.filter(({ name }) => TEXT_FILES.some((wanted) => wanted === name));
  }

  private enqueue(dataset: Unprepared): void {
    this.queue.add(dataset.id, () => this.run(dataset));
  }

  private async run({ id, order }: Unprepared): Promise<void> {
    const { artifactsUrl, workDir, datasets, logger } = this.parts;
    const { signal } = this.queue;
    const stopTimer = this.duration.startTimer();
    const data: PreparationInput = { artifactsUrl, datasetId: id, order, tempDir: join(workDir, 'preparation', id) };
    try {
      const entry = new URL('./preparation.worker.js', import.meta.url);
      const prepare = () => startWorker<PreparedFields>({ entry, data, signal, heapMib: 1024 });
      const fields = await outlastOutage(prepare, signal);
      await datasets.complete(id, fields);
      this.tokens.inc(fields.tokens);
      const { rows, tokens, trainedTokens } = fields;
      const durationMs = Math.round(stopTimer({ state: 'ready' }) * 1_000);
      logger.info({ op: 'dataset.prepare', ok: true, datasetId: id, rows, tokens, trainedTokens, durationMs });
    } catch (thrown) {
      signal.throwIfAborted(); // stays `preparing` and is begun again at the next start
      const { code, message, hint } = AppError.from(thrown);
      await datasets.refuse(id, { code, message, hint });
      const durationMs = Math.round(stopTimer({ state: 'failed' }) * 1_000);
      logger.warn({ op: 'dataset.prepare', ok: false, datasetId: id, errorCode: code, durationMs, err: thrown });
    }
  }
}
