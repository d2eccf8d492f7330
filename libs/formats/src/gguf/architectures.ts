import { FormatError } from '../format-error.js';
import type { ModelConfig } from '../huggingface/model-config.js';

/** How llama.cpp computes an architecture, as far as it is not written in the file. */
export interface GgufArchitecture {
  /** `general.architecture`, and what its keys begin with. */
  readonly name: string;
  /** `model_type` of the configuration that a file of this architecture is read as. */
  readonly modelType: string;
  /** Rows of queries and keys lie as (head, i, half) instead of Hugging Face's (head, half, i). */
  readonly permuted: boolean;
  /** Whether layers may slide; where not, the context ends with the window, within which nothing differs. */
  readonly slides: boolean;
  /** Settings that llama.cpp takes for granted: the first that differs is refused. */
  readonly refusals: (config: ModelConfig) => readonly Refusal[];
}

type Refusal = readonly [wrong: boolean, what: string];

const sameLayers = (config: ModelConfig, slides: (layer: number) => boolean): boolean =>
  config.slidingLayers.join() ===
  Array.from({ length: config.layers }, (_, layer) => layer)
    .filter(slides)
    .join();

/** Queries are scaled by the root of headDim, in the largest of the family by that of hiddenSize per head. */
function gemmaScaleDiffers(config: ModelConfig, layersOfLargest: number): boolean {
  const { layers, hiddenSize, attentionHeads, headDim, queryPreAttentionScalar = headDim } = config;
  return queryPreAttentionScalar !== (layers === layersOfLargest ? hiddenSize / attentionHeads : headDim);
}

const plain = (config: ModelConfig): Refusal[] => [
  [config.activation !== 'silu', `the activation ${config.activation}`],
];
const gemma = (config: ModelConfig): Refusal[] => [
  [config.activation !== 'gelu-tanh', `the activation ${config.activation}`],
  [!config.tieWordEmbeddings, 'an output matrix of its own'],
  [config.queryKeyValueBias || config.outputBias, 'attention biases'],
  [config.slidingWindow === undefined, 'no sliding layers'],
];

const LOCAL_THETA = 10_000;

const llama: GgufArchitecture = { name: 'llama', modelType: 'llama', permuted: true, slides: false, refusals: plain };
const BY_MODEL_TYPE: Readonly<Record<string, GgufArchitecture>> = {
  llama,
  mistral: llama,
  qwen2: { name: 'qwen2', modelType: 'qwen2', permuted: false, slides: false, refusals: plain },
  qwen3: {
    name: 'qwen3',
    modelType: 'qwen3',
    permuted: false,
    slides: false,
    refusals: (config) => [...plain(config), [config.queryKeyValueBias || config.outputBias, 'attention biases']],
  },
  gemma2: {
    name: 'gemma2',
    modelType: 'gemma2',
    permuted: false,
    slides: true,
    refusals: (config) => [
      ...gemma(config),
      [config.attentionSoftCap === undefined, 'no soft cap of attention'],
      [config.logitSoftCap === undefined, 'no soft cap of logits'],
      [!sameLayers(config, (layer) => layer % 2 === 0), 'other sliding layers than every second'],
      [gemmaScaleDiffers(config, 46), `query_pre_attn_scalar ${config.queryPreAttentionScalar}`],
    ],
  },
  gemma3_text: {
    name: 'gemma3',
    modelType: 'gemma3_text',
    permuted: false,
    slides: true,
    refusals: (config) => [
      ...gemma(config),
      [config.logitSoftCap !== undefined, 'a soft cap of logits'],
      [!sameLayers(config, (layer) => layer % 6 !== 5), 'other full layers than every sixth'],
      [config.localRopeTheta !== LOCAL_THETA, `rope_local_base_freq ${config.localRopeTheta}`],
      [gemmaScaleDiffers(config, 62), `query_pre_attn_scalar ${config.queryPreAttentionScalar}`],
    ],
  },
};

/**
 * The architecture as which llama.cpp computes what this configuration says.
 * @throws FormatError `format.unsupported` where it would compute something else, without a word.
 */
export function ggufArchitecture(config: ModelConfig): GgufArchitecture {
  const found = BY_MODEL_TYPE[config.modelType];
  if (!found)
    throw new FormatError('format.unsupported', `GGUF has no counterpart of "${config.modelType}" here.`, {
      modelType: config.modelType,
    });
  const wrong = found.refusals(config).find(([differs]) => differs);
  if (wrong)
    throw new FormatError(
      'format.unsupported',
      `A model of type "${config.modelType}" with ${wrong[1]} cannot be written as GGUF: llama.cpp computes it otherwise.`,
      { modelType: config.modelType },
    );
  return found;
}

/** @throws FormatError `format.unsupported` for an architecture that is not read. */
export function architectureNamed(name: string): GgufArchitecture {
  const known = Object.values(BY_MODEL_TYPE);
  const found = known.find((architecture) => architecture.name === name);
  if (found) return found;
  const names = [...new Set(known.map((architecture) => architecture.name))].join(', ');
  throw new FormatError(
    'format.unsupported',
    `GGUF architecture "${name.slice(0, 100)}" is not supported; supported: ${names}.`,
    {
      architecture: name,
    },
  );
}
