import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { AppError, exportParity } from '@luthier/contracts';
import type {
  ArtifactRef,
  ExportFormat,
  ExportParity,
  ModelFiles,
  ModelRecord,
  ResponseOf,
  exportModel,
} from '@luthier/contracts';
import { artifactUri, readArtifact } from '@luthier/artifacts';
import type { ArtifactStore, LocalFolders } from '@luthier/artifacts';
import { startWorker } from '@luthier/service-kit/worker';
import { Injectable } from '@nestjs/common';
import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import { filesOf, putModelFolder } from '../models/model-folder.js';
import type { ModelsService } from '../models/models.service.js';
import type { ExportInput, MadeFormat } from './made-format.js';
import { checkExport } from './parity/check-export.js';
import type { ParityLimits } from './parity/parity-input.js';

export type ExportAnswer = ResponseOf<typeof exportModel>;

/** Well within the time-out of the request. */
const ANSWER_MS = 5_000;
const HEAP_MIB = 1_024;
/** Beside the files of an export, and not one of them. */
const PARITY_FILE = 'parity.json';

/**
 * Models as files for other programs: an adapter as it was trained, or one whole model, an adapter merged into its base.
 * What has to be made is made once and lies with its model, with which it is deleted. One is made at a time, since each
 * takes the memory of a model and more.
 */
@Injectable()
export class ExportsService implements OnApplicationBootstrap, OnApplicationShutdown {
  /** Under way, by where it will lie; what failed stays until somebody has been told why. */
  private readonly making = new Map<string, Promise<ExportAnswer>>();
  private readonly stopping = new AbortController();
  private readonly draftsDir: string;
  private turn: Promise<unknown> = Promise.resolve();

  /** `workDir` belongs to one process. */
  constructor(
    private readonly models: ModelsService,
    private readonly artifacts: ArtifactStore,
    private readonly folders: LocalFolders,
    workDir: string,
    private readonly parityLimits: ParityLimits,
    private readonly answerMs = ANSWER_MS,
  ) {
    this.draftsDir = join(workDir, 'exports');
  }

  /** What a killed process had not finished is as large as a model, and may never be asked for again. Nothing is made meanwhile. */
  async onApplicationBootstrap(): Promise<void> {
    this.turn = this.turn.then(() => rm(this.draftsDir, { recursive: true, force: true }));
    await this.turn;
  }

  /**
   * Begins or joins; what takes longer than an answer may goes on. Asking after a failure was told begins anew.
   * @throws AppError `model.not-found`, `model.not-ready`, `model.unsupported`, `model.unreadable`,
   * `model.export-drifted`, `disk.full`.
   */
  async export(idOrName: string, format: ExportFormat): Promise<ExportAnswer> {
    const { model, base } = await this.models.getWithBase(idOrName);
    const files = filesToExport(model, format);
    const stored = storedAs(files);
    if (format === 'adapter' || format === stored.format) return this.ready(stored.uri);
    const uri = artifactUri('models', model.id, `export-${format}`);
    const made = await filesOf(this.artifacts, uri);
    if (made) return this.ready(uri);
    const done = this.making.get(uri) ?? this.begin(uri, { model, base }, format);
    const waiting = new AbortController();
    try {
      const making = { state: 'making' as const, uri: null, files: [], parity: null };
      const late = pause(this.answerMs, making, { signal: waiting.signal });
      return await Promise.race([done, late]);
    } catch (thrown) {
      if (this.making.get(uri) === done) this.making.delete(uri);
      throw thrown;
    } finally {
      waiting.abort();
    }
  }

  async onApplicationShutdown(): Promise<void> {
    this.stopping.abort(new Error('the service stops'));
    await Promise.allSettled(this.making.values());
  }

  private async ready(uri: string): Promise<ExportAnswer> {
    const files = (await filesOf(this.artifacts, uri)) ?? [];
    return { state: 'ready', uri, files, parity: await this.parityOf(uri) };
  }

  private async parityOf(uri: string): Promise<ExportParity | null> {
    const file = `${uri}/${PARITY_FILE}`;
    if (!(await this.artifacts.stat(file))) return null;
    return exportParity.parse(JSON.parse((await readArtifact(this.artifacts, file)).toString('utf8')));
  }

  private begin(uri: string, of: Exported, format: MadeFormat): Promise<ExportAnswer> {
    const done = this.turn.then(() => this.make(uri, of, format));
    this.turn = done.catch(() => undefined);
    this.making.set(uri, done);
    done.then(
      () => this.making.delete(uri),
      () => undefined, // told to whoever waits for it, or asks next
    );
    return done;
  }

  private async make(uri: string, { model, base }: Exported, format: MadeFormat): Promise<ExportAnswer> {
    const { signal } = this.stopping;
    signal.throwIfAborted();
    const draft = join(this.draftsDir, `${model.id}-${format}`);
    const [outDir, mergedDir] = [join(draft, 'out'), join(draft, 'merged')];
    const convert = async (modelDir: string, adapterDir: string | null): Promise<ExportParity> => {
      const data: ExportInput = { modelDir, adapterDir, format, outDir, mergedDir };
      const entry = new URL('./export-model.worker.js', import.meta.url);
      await startWorker<null>({ entry, data, signal, heapMib: HEAP_MIB });
      return checkExport(data, { ...this.parityLimits, signal });
    };
    try {
      await rm(draft, { recursive: true, force: true });
      await mkdir(outDir, { recursive: true });
      const parity = await this.withFolders(filesToExport(model, format), base, convert);
      await this.artifacts.put(`${uri}/${PARITY_FILE}`, JSON.stringify(parity));
      await putModelFolder(this.artifacts, outDir, uri, signal);
      await this.dropIfDeleted(model.id, uri);
      return await this.ready(uri);
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
  }

  /** A model that was deleted in the meantime took along what was there then. */
  private async dropIfDeleted(modelId: string, uri: string): Promise<void> {
    try {
      await this.models.get(modelId);
    } catch (thrown) {
      if (AppError.from(thrown).code === 'model.not-found') await this.artifacts.remove(uri);
      throw thrown;
    }
  }

  /** A whole model alone, or an adapter with the weights of its base: nothing else is merged. */
  private withFolders<T>(
    files: ModelFiles,
    base: ModelRecord | null,
    work: (modelDir: string, adapterDir: string | null) => Promise<T>,
  ): Promise<T> {
    if (files.form === 'whole') return this.folders.use(files.weights, (dir) => work(dir, null));
    return this.folders.use(weightsOf(base), (baseDir) =>
      this.folders.use(files.adapter, (adapterDir) => work(baseDir, adapterDir)),
    );
  }
}

/** What of a model is there already, and as what. */
const storedAs = (files: ModelFiles): { format: ExportFormat; uri: string } =>
  files.form === 'adapter'
    ? { format: 'adapter', uri: files.adapter.uri }
    : { format: 'safetensors', uri: files.weights.uri };

interface Exported {
  readonly model: ModelRecord;
  readonly base: ModelRecord | null;
}

function filesToExport({ name, state, files, gives }: ModelRecord, format: ExportFormat): ModelFiles {
  if (state !== 'ready' || files === null) {
    throw new AppError('model.not-ready', `The model ${name} is ${state}`, { param: 'model' });
  }
  if (gives === 'points' && format !== 'adapter') {
    throw new AppError('model.unsupported', `${name} gives points to answers: it is no language model to export`, {
      param: 'format',
      hint: 'Export its adapter: transformers and PEFT read it, with its head.',
    });
  }
  if (format === 'adapter' && files.form === 'whole') {
    throw new AppError('model.unsupported', `${name} is a whole model: there is no adapter to export`, {
      param: 'format',
      hint: 'Export it as safetensors or GGUF.',
    });
  }
  return files;
}

function weightsOf(base: ModelRecord | null): ArtifactRef {
  if (base?.files?.form === 'whole') return base.files.weights;
  throw new AppError('model.not-ready', 'The base of the model is not there', { param: 'model' });
}
