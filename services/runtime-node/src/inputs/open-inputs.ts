import { AppError, PREPARED_FOR_METHOD, contradictionIn, featuresAsked } from '@luthier/contracts';
import type { RunFeature, RuntimeSpec } from '@luthier/contracts';
import { openPreparedDataset, openSafetensorsModel, readModelConfig } from '@luthier/formats';
import type { ModelConfig, PreparedDataset } from '@luthier/formats';
import { loadWeights } from '@luthier/lm';
import type { LoadOptions } from '@luthier/lm';
import { blaming } from '../control/fault.js';

export const SUPPORTED_METHODS = ['supervised', 'pretrain', 'dpo', 'orpo', 'simpo', 'kto'] as const;
export const SUPPORTED_TUNINGS = ['lora', 'qlora', 'full', 'freeze'] as const;
export const SUPPORTED_FEATURES: readonly RunFeature[] = [
  'dora',
  'loraplus',
  'neftune',
  'label-smoothing',
  'adamw8bit',
  'adafactor',
  'early-stopping',
  'modules-to-save',
];

const kindsOf = (method: RuntimeSpec['method']['type']): readonly string[] =>
  method === 'supervised' || method === 'pretrain' ? ['sft', 'pretrain'] : [PREPARED_FOR_METHOD[method]];

/** Opens a prepared dataset and refuses what this runtime would misread. */
export async function openData(dir: string, spec: RuntimeSpec, config: ModelConfig): Promise<PreparedDataset> {
  return blaming('data.bad', async () => {
    const dataset = await openPreparedDataset(dir);
    const { kind, rows, trainedTokens } = dataset.manifest;
    const kinds = kindsOf(spec.method.type);
    if (!kinds.includes(kind))
      throw new AppError('data.bad', `The data are of kind "${kind}"; expected ${kinds.join(' or ')}.`);
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

/** Weights of a Hugging Face folder, each in an array of its own. */
export async function openWeights(
  modelDir: string,
  config: ModelConfig,
  options?: LoadOptions,
): ReturnType<typeof loadWeights> {
  return blaming('model.unreadable', async () => loadWeights(await openSafetensorsModel(modelDir), config, options));
}

const refusal = (field: string, message: string): AppError => new AppError('config.bad', message, { param: field });

function checkStopping({ mode, data, hyperparameters }: RuntimeSpec): void {
  const field = 'hyperparameters.earlyStoppingPatience';
  if (hyperparameters.earlyStoppingPatience !== undefined && mode === 'train' && data.heldOutDir === undefined)
    throw refusal(field, `${field}: without held-out rows nothing says when to stop; give data.heldOutDir.`);
}

/** Throws `config.bad` for methods, tunings, precisions and features that this runtime does not have. */
export function checkSpec(spec: RuntimeSpec): void {
  const { method, tuning, hyperparameters } = spec;
  if (spec.precision !== undefined && spec.precision !== 'float32')
    throw refusal('precision', `This runtime computes in float32, not "${spec.precision}".`);
  if (!SUPPORTED_TUNINGS.some((name) => name === tuning.type))
    throw refusal('tuning', `This runtime trains ${SUPPORTED_TUNINGS.join(', ')}, not "${tuning.type}".`);
  if (!SUPPORTED_METHODS.some((name) => name === method.type))
    throw refusal('method', `This runtime does not know the method "${method.type}".`);
  const contradiction = contradictionIn({ method: method.type, tuning, hyperparameters });
  if (contradiction) throw refusal(contradiction.field, `${contradiction.field}: ${contradiction.message}`);
  const lacking = featuresAsked(spec).find(({ feature }) => !SUPPORTED_FEATURES.includes(feature));
  if (lacking) throw refusal(lacking.field, `${lacking.field}: this runtime does not have "${lacking.feature}".`);
  checkStopping(spec);
  const goesOn = tuning.type === 'lora' || tuning.type === 'qlora';
  if (spec.adapterDir !== undefined && spec.mode === 'train' && !goesOn)
    throw refusal('adapterDir', `adapterDir: ${tuning.type} tuning does not go on from an adapter.`);
}
