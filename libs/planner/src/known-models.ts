import type { ModelShape } from '@luthier/contracts';
import { layerParameters } from './memory.js';

export interface KnownModel {
  readonly title: string;
  readonly shape: ModelShape;
}

type Sizes = Omit<ModelShape, 'parameters' | 'weightBytes'>;

const BYTES_PER_WEIGHT = 2;

/** A shape with its numbers counted. */
export function countedShape(sizes: Sizes): ModelShape {
  const { layers, vocabularySize, hiddenSize, tiedEmbeddings } = sizes;
  const parameters =
    layers * layerParameters({ ...sizes, parameters: 1, weightBytes: 1 }) +
    vocabularySize * hiddenSize * (tiedEmbeddings ? 1 : 2) +
    hiddenSize;
  return { ...sizes, parameters, weightBytes: parameters * BYTES_PER_WEIGHT };
}

type Row = readonly [
  title: string,
  architecture: string,
  hiddenSize: number,
  intermediateSize: number,
  layers: number,
  heads: number,
  kvHeads: number,
  headDim: number,
  vocabularySize: number,
  tiedEmbeddings: boolean,
  contextLength: number,
];

/** Of the models' own config.json. */
const ROWS: readonly Row[] = [
  ['SmolLM2 135M', 'LlamaForCausalLM', 576, 1536, 30, 9, 3, 64, 49_152, true, 8192],
  ['Gemma 3 270M', 'Gemma3ForCausalLM', 640, 2048, 18, 4, 1, 256, 262_144, true, 32_768],
  ['SmolLM2 360M', 'LlamaForCausalLM', 960, 2560, 32, 15, 5, 64, 49_152, true, 8192],
  ['Qwen2.5 0.5B', 'Qwen2ForCausalLM', 896, 4864, 24, 14, 2, 64, 151_936, true, 32_768],
  ['Qwen3 0.6B', 'Qwen3ForCausalLM', 1024, 3072, 28, 16, 8, 128, 151_936, true, 40_960],
  ['TinyLlama 1.1B', 'LlamaForCausalLM', 2048, 5632, 22, 32, 4, 64, 32_000, false, 2048],
  ['Llama 3.2 1B', 'LlamaForCausalLM', 2048, 8192, 16, 32, 8, 64, 128_256, true, 131_072],
  ['Qwen2.5 1.5B', 'Qwen2ForCausalLM', 1536, 8960, 28, 12, 2, 128, 151_936, true, 32_768],
  ['SmolLM2 1.7B', 'LlamaForCausalLM', 2048, 8192, 24, 32, 32, 64, 49_152, true, 8192],
];

/** Open models that people begin with, by size. */
export const KNOWN_MODELS: readonly KnownModel[] = ROWS.map(
  ([
    title,
    architecture,
    hiddenSize,
    intermediateSize,
    layers,
    heads,
    kvHeads,
    headDim,
    vocabularySize,
    tiedEmbeddings,
    contextLength,
  ]) => ({
    title,
    shape: countedShape({
      ...{ architecture, hiddenSize, intermediateSize, layers, heads, kvHeads, headDim },
      ...{ vocabularySize, tiedEmbeddings, contextLength },
    }),
  }),
).toSorted((a, b) => a.shape.parameters - b.shape.parameters);
