import { join } from 'node:path';
import { ArtifactStore } from '@luthier/artifacts';
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

/** From a model's name to files that the engine can load. */
@Injectable()
export class ModelFiles {
  constructor(
    private readonly bus: MessageBus,
    private readonly artifacts: ArtifactStore,
    private readonly cache: GgufCache,
  ) {}

  /** @throws AppError `model.not-found`, `model.not-ready`, `model.unreadable`. */
  async resolve(name: string): Promise<ServableModel> {
    const { model, base } = await this.bus.request(getModel, { model: name });
    const weightsOf = base ?? model;
    const weights = ready(weightsOf, weightsOf.weights);
    const baseDir = this.localDir(weights);
    const basePath = await this.cache.base(baseDir, weights.sha256);
    if (model.kind === 'base') return { modelId: model.id, baseDir, gguf: { basePath } };
    const adapter = ready(model, model.adapter);
    const adapterPath = await this.cache.adapter(this.localDir(adapter), adapter.sha256, baseDir);
    return { modelId: model.id, baseDir, gguf: { basePath, adapterPath } };
  }

  private localDir(ref: ArtifactRef): string {
    const path = this.artifacts.localPath(ref.uri);
    if (path === undefined) throw new AppError('model.unreadable', 'The artifact store offers no local files.');
    return join(path);
  }
}

function ready(model: ModelRecord, ref: ArtifactRef | null): ArtifactRef {
  if (model.state !== 'ready' || ref === null) {
    throw new AppError('model.not-ready', `The model ${model.name} is ${model.state}.`, { param: 'model' });
  }
  return ref;
}
