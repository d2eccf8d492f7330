import type { PlanComponent } from '@luthier/contracts';

/** What decides the memory of one run of the TypeScript runtime. */
export interface NodeMemoryQuestion {
  readonly layers: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headDim: number;
  readonly vocabularySize: number;
  readonly tiedEmbeddings: boolean;
  /** Numbers in the adapter. */
  readonly adapterParameters: number;
  /** Tokens of the largest micro-batch, and how many of them are trained at most. */
  readonly microBatchTokens: number;
  readonly microBatchTrained: number;
  readonly memoryMode: 'whole-step' | 'layer-recompute';
}

export interface NodeMemoryEstimate {
  /** In MiB. */
  readonly components: readonly { readonly name: PlanComponent; readonly mib: number }[];
  readonly totalMib: number;
}

const MIB = 1024 * 1024;
const FLOAT_BYTES = 4;
/** Values, gradients of the step, gradients of the micro-batch, two moments. */
const ADAPTER_COPIES = 5;
/** Logits, log-softmax or softmax, and what the operation in progress makes of them. */
const LOGIT_COPIES = 4;
/** Node, ONNX Runtime, graphs, reading buffers; measured. */
const RUNTIME_MIB = 150;
/** Temporary values of the operations in progress, as copies of one layer's kept values. */
const WORKING_LAYERS = 3;

/** Memory of one run on ONNX Runtime in float32. Calibrated by measurement; see docs/adr/0003-training-engine.md. */
export function estimateNodeMemory(question: NodeMemoryQuestion): NodeMemoryEstimate {
  const { layers, hiddenSize, intermediateSize, heads, keyValueHeads, headDim, microBatchTokens: tokens } = question;
  const queries = heads * headDim;
  const keys = keyValueHeads * headDim;
  const perLayerWeights = hiddenSize * (2 * queries + 2 * keys + 3 * intermediateSize + 2);
  const embeddings = question.vocabularySize * hiddenSize * (question.tiedEmbeddings ? 1 : 2);
  const keptPerToken = 7 * hiddenSize + 2 * queries + 3 * keys + 4 * intermediateSize + heads * tokens;
  const layerFloats = tokens * keptPerToken;
  const keptFloats = question.memoryMode === 'whole-step' ? layers * layerFloats : layers * tokens * hiddenSize;
  const mib = (floats: number): number => Math.round((floats * FLOAT_BYTES * 10) / MIB) / 10;
  const components: { name: PlanComponent; mib: number }[] = [
    { name: 'weights', mib: mib(layers * perLayerWeights + embeddings) },
    { name: 'adapterAndOptimiser', mib: mib(ADAPTER_COPIES * question.adapterParameters) },
    { name: 'activations', mib: mib(keptFloats + WORKING_LAYERS * layerFloats) },
    { name: 'head', mib: mib(LOGIT_COPIES * question.microBatchTrained * question.vocabularySize) },
    { name: 'runtime', mib: RUNTIME_MIB },
  ];
  return { components, totalMib: Math.ceil(components.reduce((sum, part) => sum + part.mib, 0)) };
}
