import { AppError, featuresAsked } from '@luthier/contracts';
import type { RuntimeSpec } from '@luthier/contracts';
import { openPreparedDataset, openSafetensorsModel, readModelConfig } from '@luthier/formats';
import type { ModelConfig, PreparedDataset } from '@luthier/formats';
import { LoraAdapter, loadWeights } from '@luthier/lm';
import type { LoraSettings, Weights } from '@luthier/lm';
import { readAdapter } from './checkpoint.js';
import { blaming } from './fault.js';

export const SUPPORTED_METHODS = ['supervised', 'pretrain'] as const;

/** Opens a prepared dataset and refuses what this runtime would misread. */
export async function openData(dir: string, config: ModelConfig): Promise<PreparedDataset> {
  return blaming('data.bad', async () => {
    const dataset = await openPreparedDataset(dir);
    const { kind, rows, trainedTokens } = dataset.manifest;
    if (kind !== 'sft' && kind !== 'pretrain')
      throw new AppError('data.bad', `The data are of kind "${kind}"; expected sft or pretrain.`);
    if (rows === 0 || trainedTokens === 0) throw new AppError('data.bad', 'The data hold no trained token.');
    for (let i = 0; i < rows; i += 1) {
      const { tokens } = await dataset.row(i);
      const wrong = tokens.find((token) => token < 0 || token >= config.vocabSize);
      if (wrong !== undefined) {
        throw new AppError(
          'data.bad',
          `Row ${i} holds token ${wrong}; the model knows ${config.vocabSize} tokens. Was it prepared with another tokenizer?`,
        );
      }
    }
    return dataset;
  });
}

export async function openConfig(spec: RuntimeSpec): Promise<ModelConfig> {
  return blaming('model.unreadable', () => readModelConfig(spec.modelDir));
}

export async function openWeights(spec: RuntimeSpec, config: ModelConfig): Promise<Weights> {
  return blaming('model.unreadable', async () => loadWeights(await openSafetensorsModel(spec.modelDir), config));
}

/** LoRA settings of the request; other tunings, methods, precisions and features are refused. */
export function loraSettings(spec: RuntimeSpec): LoraSettings {
  if (spec.precision !== undefined && spec.precision !== 'float32')
    throw new AppError('config.bad', `This runtime computes in float32, not "${spec.precision}".`, {
      param: 'precision',
    });
  if (spec.tuning.type !== 'lora')
    throw new AppError('config.bad', `This runtime trains LoRA adapters, not "${spec.tuning.type}".`, {
      param: 'tuning',
    });
  if (!SUPPORTED_METHODS.some((name) => name === spec.method.type)) {
    throw new AppError('config.bad', `This runtime does not know the method "${spec.method.type}".`, {
      param: 'method',
    });
  }
  const [lacking] = featuresAsked(spec);
  if (lacking) {
    throw new AppError('config.bad', `${lacking.field}: this runtime does not have "${lacking.feature}".`, {
      param: lacking.field,
    });
  }
  return spec.tuning;
}

/** The adapter of `adapterDir`, with the settings stored there. */
export async function openAdapter(dir: string, config: ModelConfig): Promise<LoraAdapter> {
  return blaming('model.unreadable', async () => {
    const stored = await readAdapter(dir);
    const { rank, alpha, dropout, targetModules, useRslora } = stored.config;
    const settings = { r: rank, loraAlpha: alpha, loraDropout: dropout, targetModules, useRslora };
    return LoraAdapter.restore(config, settings, stored.tensors);
  });
}
