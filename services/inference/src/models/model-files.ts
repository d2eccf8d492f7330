import { LocalFolders } from '@luthier/artifacts';
import { AppError, getModel } from '@luthier/contracts';
import type { ArtifactRef, ModelRecord } from '@luthier/contracts';
import { MessageBus } from '@luthier/messaging';
import { Injectable } from '@nestjs/common';
import type { GgufModel } from '../engine/llama-engine.js';
import { GgufCache } from './gguf-cache.js';

export interface ServableModel {
  modelId: string;
  /** Hugging Face folder: its tokenizer and chat template are those of training. */
  baseDir: string;
  gguf: GgufModel;
}

/** A model that can be answered with, as the registry knows it. */
export interface FoundModel {
  modelId: string;
  weights: ArtifactRef;
  /** Absent for a base model. */
  adapter?: ArtifactRef;
}

/** From a model's name to files that the engine can load. */
@Injectable()
export class ModelFiles {
  constructor(
    private readonly bus: MessageBus,
    private readonly folders: LocalFolders,
    private readonly cache: GgufCache,
  ) {}

  /** Never the base in place of an unknown tuned model. @throws AppError `model.not-found`, `model.not-ready`. */
  async find(name: string): Promise<FoundModel> {
    const { model, base } = await this.bus.request(getModel, { model: name });
    if (model.kind === 'base') return { modelId: model.id, weights: ready(model, model.weights) };
    const adapter = ready(model, model.adapter);
    if (!base) throw new AppError('model.not-found', `The base of ${model.name} is not there.`, { param: 'model' });
    return { modelId: model.id, weights: ready(base, base.weights), adapter };
  }

  /**
   * Calls `work` with the files of a model, which stay until it has ended. What is not here is brought here, what is not
   * converted is converted.
   * @throws AppError `model.unreadable`, `disk.full`, `storage.unreachable`.
   */
  async use<T>({ modelId, weights, adapter }: FoundModel, work: (model: ServableModel) => Promise<T>): Promise<T> {
    return this.folders.use(weights, async (baseDir) => {
      const basePath = await this.cache.base(baseDir, weights.sha256);
      if (!adapter) return work({ modelId, baseDir, gguf: { basePath } });
      const adapterPath = await this.folders.use(adapter, (dir) => this.cache.adapter(dir, adapter.sha256, baseDir));
      return work({ modelId, baseDir, gguf: { basePath, adapterPath } });
    });
  }
}

function ready(model: ModelRecord, ref: ArtifactRef | null): ArtifactRef {
  if (model.state !== 'ready' || ref === null) {
    throw new AppError('model.not-ready', `The model ${model.name} is ${model.state}.`, { param: 'model' });
  }
  return ref;
}
