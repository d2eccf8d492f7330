import { LocalFolders } from '@luthier/artifacts';
import { AppError, getModel } from '@luthier/contracts';
import type { ArtifactRef, ModelRecord, ModelFiles as StoredFiles } from '@luthier/contracts';
import { isFormatError, openPeftAdapter } from '@luthier/formats';
import { MessageBus } from '@luthier/messaging';
import { Injectable } from '@nestjs/common';
import type { GgufModel } from '@luthier/llama-cpp';
import { GgufCache } from './gguf-cache.js';

export interface ServableModel {
  modelId: string;
  /** Hugging Face folder: its tokenizer and chat template are those of training. */
  baseDir: string;
  gguf: GgufModel;
}

/** A model that can be answered with, as the registry knows it: by weights of its own, or by those of its base. */
export type FoundModel = { readonly modelId: string } & (
  | { readonly form: 'whole'; readonly weights: ArtifactRef }
  | { readonly form: 'adapter'; readonly adapter: ArtifactRef; readonly baseWeights: ArtifactRef }
);

/** From a model's name to files that the engine can load. */
@Injectable()
export class ModelFiles {
  constructor(
    private readonly bus: MessageBus,
    private readonly folders: LocalFolders,
    private readonly cache: GgufCache,
  ) {}

  /**
   * Never the base in place of an unknown tuned model.
   * @throws AppError `model.not-found`, `model.not-ready`, `model.unsupported` for one that gives no answers.
   */
  async find(name: string): Promise<FoundModel> {
    const { model, base } = await this.bus.request(getModel, { model: name });
    if (model.gives === 'points') {
      throw new AppError('model.unsupported', `${model.name} is a reward model: it gives points and does not answer.`, {
        param: 'model',
        hint: 'Load its adapter as a sequence classifier to have answers judged, or ask another model.',
      });
    }
    const files = ready(model);
    if (files.form === 'whole') return { modelId: model.id, ...files };
    const ofBase = base && ready(base);
    if (ofBase?.form !== 'whole') {
      throw new AppError('model.not-found', `The base of ${model.name} is not there.`, { param: 'model' });
    }
    return { modelId: model.id, ...files, baseWeights: ofBase.weights };
  }

  /**
   * Calls `work` with the files of a model, which stay until it has ended. What is not here is brought here, what is not
   * converted is converted.
   * @throws AppError `model.unreadable`, `disk.full`, `storage.unreachable`.
   */
  async use<T>(found: FoundModel, work: (model: ServableModel) => Promise<T>): Promise<T> {
    const { modelId } = found;
    const weights = found.form === 'whole' ? found.weights : found.baseWeights;
    return this.folders.use(weights, async (baseDir) => {
      const base = (): Promise<string> => this.cache.base(baseDir, weights.sha256);
      if (found.form === 'whole') return work({ modelId, baseDir, gguf: { basePath: await base() } });
      const { adapter } = found;
      const gguf = await this.folders.use(adapter, async (dir): Promise<GgufModel> => {
        if (await needsMerging(dir)) return { basePath: await this.cache.merged(dir, adapter.sha256, baseDir) };
        return { basePath: await base(), adapterPath: await this.cache.adapter(dir, adapter.sha256, baseDir) };
      });
      return work({ modelId, baseDir, gguf });
    });
  }
}

/** Whether it has what llama.cpp's adapters have not; false for what cannot be read: its conversion says why. */
async function needsMerging(adapterDir: string): Promise<boolean> {
  try {
    const { useDora = false, modulesToSave = [] } = (await openPeftAdapter(adapterDir, { beyondLora: true })).config;
    return useDora || modulesToSave.length > 0;
  } catch (cause) {
    if (isFormatError(cause)) return false;
    throw cause;
  }
}

function ready({ state, files, name }: ModelRecord): StoredFiles {
  if (state === 'ready' && files !== null) return files;
  throw new AppError('model.not-ready', `The model ${name} is ${state}.`, { param: 'model' });
}
