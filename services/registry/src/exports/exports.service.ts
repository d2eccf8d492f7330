import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { AppError } from '@luthier/contracts';
import type { ArtifactRef, ExportFormat, ModelFiles, ModelRecord, ResponseOf, exportModel } from '@luthier/contracts';
import { artifactUri } from '@luthier/artifacts';
import type { ArtifactStore, LocalFolders } from '@luthier/artifacts';
import { startWorker } from '@luthier/service-kit/worker';
import { Injectable } from '@nestjs/common';
import type { OnApplicationShutdown } from '@nestjs/common';
import { filesOf, putModelFolder } from '../models/model-folder.js';
import type { ModelsService } from '../models/models.service.js';
import type { ExportInput } from './export-model.worker.js';

export type ExportAnswer = ResponseOf<typeof exportModel>;

/** Well within the time-out of the request. */
const ANSWER_MS = 5_000;
const HEAP_MIB = 1_024;

/**
 * Models as files for other programs: one whole model, an adapter merged into its base. An export is made once and lies
 * with its model, with which it is deleted.
 */
@Injectable()
export class ExportsService implements OnApplicationShutdown {
  /** Under way, by where it will lie. */
  private readonly making = new Map<string, Promise<ExportAnswer>>();
  private readonly stopping = new AbortController();

  constructor(
    private readonly models: ModelsService,
    private readonly artifacts: ArtifactStore,
    private readonly folders: LocalFolders,
    private readonly workDir: string,
  ) {}

  /**
   * Begins or joins; what takes longer than an answer may goes on.
   * @throws AppError `model.not-found`, `model.not-ready`, `model.unsupported`, `model.unreadable`, `disk.full`.
   */
  async export(idOrName: string, format: ExportFormat): Promise<ExportAnswer> {
    const { model, base } = await this.models.getWithBase(idOrName);
    const files = filesToExport(model);
    if (format === 'safetensors' && files.form === 'whole') return this.ready(files.weights.uri);
    const uri = artifactUri('models', model.id, `export-${format}`);
    const made = await filesOf(this.artifacts, uri);
    if (made) return { state: 'ready', uri, files: made };
    const done = this.making.get(uri) ?? this.begin(uri, { model, base }, format);
    const waiting = new AbortController();
    try {
      const late = pause(ANSWER_MS, { state: 'making' as const, uri: null, files: [] }, { signal: waiting.signal });
      return await Promise.race([done, late]);
    } finally {
      waiting.abort();
    }
  }

  async onApplicationShutdown(): Promise<void> {
    this.stopping.abort(new Error('the service stops'));
    await Promise.allSettled(this.making.values());
  }

  private async ready(uri: string): Promise<ExportAnswer> {
    return { state: 'ready', uri, files: (await filesOf(this.artifacts, uri)) ?? [] };
  }

  private begin(uri: string, of: Exported, format: ExportFormat): Promise<ExportAnswer> {
    const done = this.make(uri, of, format).finally(() => this.making.delete(uri));
    done.catch(() => undefined); // told to whoever waits for it, or asks again
    this.making.set(uri, done);
    return done;
  }

  private async make(uri: string, { model, base }: Exported, format: ExportFormat): Promise<ExportAnswer> {
    const draft = join(this.workDir, 'exports', `${model.id}-${format}`);
    const [outDir, scratchDir] = [join(draft, 'out'), join(draft, 'scratch')];
    const convert = (modelDir: string, adapterDir: string | null): Promise<null> => {
      const data: ExportInput = { modelDir, adapterDir, format, outDir, scratchDir };
      const entry = new URL('./export-model.worker.js', import.meta.url);
      return startWorker<null>({ entry, data, signal: this.stopping.signal, heapMib: HEAP_MIB });
    };
    try {
      await rm(draft, { recursive: true, force: true });
      await mkdir(outDir, { recursive: true });
      await this.withFolders(filesToExport(model), base, convert);
      await putModelFolder(this.artifacts, outDir, uri, this.stopping.signal);
      return await this.ready(uri);
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
  }

  /** A whole model alone, or an adapter with the weights of its base: nothing else is merged. */
  private withFolders(
    files: ModelFiles,
    base: ModelRecord | null,
    work: (modelDir: string, adapterDir: string | null) => Promise<null>,
  ): Promise<null> {
    if (files.form === 'whole') return this.folders.use(files.weights, (dir) => work(dir, null));
    return this.folders.use(weightsOf(base), (baseDir) =>
      this.folders.use(files.adapter, (adapterDir) => work(baseDir, adapterDir)),
    );
  }
}

interface Exported {
  readonly model: ModelRecord;
  readonly base: ModelRecord | null;
}

function filesToExport({ name, state, files, gives }: ModelRecord): ModelFiles {
  if (state !== 'ready' || files === null) {
    throw new AppError('model.not-ready', `The model ${name} is ${state}`, { param: 'model' });
  }
  if (gives === 'points') {
    throw new AppError('model.unsupported', `${name} gives points to answers: it is no language model to export`, {
      param: 'model',
    });
  }
  return files;
}

function weightsOf(base: ModelRecord | null): ArtifactRef {
  if (base?.files?.form === 'whole') return base.files.weights;
  throw new AppError('model.not-ready', 'The base of the model is not there', { param: 'model' });
}
