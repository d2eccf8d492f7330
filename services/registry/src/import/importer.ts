import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, modelImported } from '@luthier/contracts';
import type { ModelRecord } from '@luthier/contracts';
import { artifactUri } from '@luthier/artifacts';
import type { ArtifactStore } from '@luthier/artifacts';
import type { Logger, ServiceMetrics } from '@luthier/service-kit';
import { Histogram } from 'prom-client';
import { CATALOGUE, describeSource } from '../catalogue/catalogue.js';
import type { CatalogueModel, ModelSource } from '../catalogue/catalogue.js';
import { putModelFolder, sizeOf } from '../models/model-folder.js';
import type { ModelStore } from '../models/model.store.js';
import { checkModelFolder } from './check-model-folder.js';
import type { SourceFetcher } from './source-fetcher.js';

export interface ImporterParts {
  readonly store: ModelStore;
  readonly artifacts: ArtifactStore;
  readonly fetcher: SourceFetcher;
  readonly workDir: string;
  readonly logger: Logger;
  readonly metrics: ServiceMetrics;
  readonly catalogue?: readonly CatalogueModel[];
}

interface Wanted {
  readonly id: string;
  readonly name: string;
  readonly localDir: string | null;
}

/** Imports base models in the background, one after the other; what a restart interrupted is begun again. */
export class Importer {
  private readonly queued = new Set<string>();
  private readonly stopping = new AbortController();
  private tail: Promise<void> = Promise.resolve();
  private readonly duration: Histogram<'ok'>;

  constructor(private readonly parts: ImporterParts) {
    this.duration = new Histogram({
      name: 'luthier_registry_import_duration_seconds',
      help: 'Time to import a base model from all sources tried.',
      labelNames: ['ok'],
      buckets: [1, 5, 15, 60, 300, 1_800],
      registers: [parts.metrics.registry],
    });
  }

  async start(): Promise<void> {
    for (const model of await this.parts.store.importing()) this.enqueue(model);
  }

  async stop(): Promise<void> {
    this.stopping.abort(new Error('the service stops'));
    await this.tail;
  }

  /** Joins an import that is queued or under way. */
  enqueue(model: Wanted): void {
    if (this.queued.has(model.id) || this.stopping.signal.aborted) return;
    this.queued.add(model.id);
    this.tail = this.tail
      .then(() => this.run(model))
      .catch((err: unknown) => this.parts.logger.error({ op: 'model.import', modelId: model.id, ok: false, err }))
      .finally(() => this.queued.delete(model.id));
  }

  /** Where a model of this name may come from; empty: nowhere. */
  sourcesOf(name: string, localDir: string | null): readonly ModelSource[] {
    if (localDir !== null) return [{ kind: 'folder', path: localDir }];
    return (this.parts.catalogue ?? CATALOGUE).find((entry) => entry.name === name)?.sources ?? [];
  }

  private async run(model: Wanted): Promise<void> {
    const { signal } = this.stopping;
    if (signal.aborted) return;
    const { logger, workDir } = this.parts;
    const started = performance.now();
    const draft = join(workDir, 'imports', model.id);
    const tried: ModelRecord['sourcesTried'] = [];
    try {
      for (const source of this.sourcesOf(model.name, model.localDir)) {
        const label = describeSource(source);
        try {
          await this.importFrom(source, model, draft, tried);
          logger.info({ op: 'model.import', ok: true, modelId: model.id, source: label });
          this.duration.observe({ ok: 'true' }, (performance.now() - started) / 1_000);
          return;
        } catch (thrown) {
          if (signal.aborted) return; // stays `importing` and is begun again at the next start
          const message = thrown instanceof Error ? thrown.message : String(thrown);
          tried.push({ source: label, ok: false, message: message.slice(0, 500) });
          logger.warn({ op: 'model.import', ok: false, modelId: model.id, source: label, err: thrown });
        }
      }
      this.duration.observe({ ok: 'false' }, (performance.now() - started) / 1_000);
      await this.fail(model, tried);
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
  }

  private async importFrom(
    source: ModelSource,
    { id, name }: Wanted,
    draft: string,
    tried: ModelRecord['sourcesTried'],
  ): Promise<void> {
    const { store, artifacts, fetcher } = this.parts;
    const { signal } = this.stopping;
    await fetcher.fetch(source, id, draft, signal);
    const shape = await checkModelFolder(draft);
    const uri = artifactUri('models', id, 'weights');
    const { files: stored, ...weights } = await putModelFolder(artifacts, draft, uri, signal);
    const files = { form: 'whole' as const, weights };
    const label = describeSource(source);
    const sourcesTried = [...tried, { source: label, ok: true, message: 'used' }];
    const ready = { state: 'ready' as const, shape, files, sizeBytes: sizeOf(stored) };
    const fields = { ...ready, source: label, sourcesTried, error: null };
    await store.change(id, 'importing', fields, {
      definition: modelImported,
      payload: { modelId: id, name, ok: true },
    });
  }

  private async fail({ id, name }: Wanted, sourcesTried: ModelRecord['sourcesTried']): Promise<void> {
    const why = sourcesTried.map(({ source, message }) => `${source}: ${message}`).join('; ');
    const { message, hint, code } = new AppError(
      'model.import-failed',
      `${name} could not be imported. ${why || 'No source is known'}`,
    );
    await this.parts.store.change(
      id,
      'importing',
      { state: 'failed', sourcesTried, error: { code, message, hint } },
      { definition: modelImported, payload: { modelId: id, name, ok: false } },
    );
  }
}
