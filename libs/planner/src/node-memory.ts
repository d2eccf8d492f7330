import type { Hyperparameters, PlanComponent, RunMode, Tuning } from '@luthier/contracts';
import { architectureMemory } from './architecture-memory.js';

/** What decides the memory of one run of the TypeScript runtime. */
export interface NodeMemoryQuestion {
  /** As in `config.json`. @default one without more than Llama has */
  readonly architecture?: string;
  readonly layers: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headDim: number;
  readonly vocabularySize: number;
  readonly tiedEmbeddings: boolean;
  /** Numbers that are trained: of an adapter, or of the model's own weights. */
  readonly trainedParameters: number;
  /** What they are part of; `outer`: embeddings and output weights are trained, too. @default 'adapter' */
  readonly trains?: 'adapter' | 'layers' | 'outer';
  /** Of embeddings and output weights, how many matrices are trained whole beside an adapter. @default 0 */
  readonly wholeMatrices?: number;
  /** Numbers that the optimiser keeps for each one that is trained. @default 2 */
  readonly optimiserCopies?: number;
  /** Of the frozen weights of linear layers. @default 32 */
  readonly weightBits?: 8 | 32;
  /** Copies of what is trained that are kept beside it: of the best evaluation, where training may end early. @default 0 */
  readonly keptCopies?: number;
  /** Tokens of the largest micro-batch, and how many of them are trained at most. */
  readonly microBatchTokens: number;
  readonly microBatchTrained: number;
  readonly memoryMode: 'whole-step' | 'layer-recompute';
  /** What computes. @default 'onnx' */
  readonly engine?: 'onnx' | 'tensorflow';
}

export interface NodeMemoryEstimate {
  /** In MiB. */
  readonly components: readonly { readonly name: PlanComponent; readonly mib: number }[];
  readonly totalMib: number;
}

const MIB = 1024 * 1024;
const FLOAT_BYTES = 4;
/** AdamW's moments, in 8 bits with a scale for 256 of them; Adafactor keeps a number for each row and column. */
const OPTIMISER_COPIES = { adamw: 2, adamw8bit: (2 * (1 + 4 / 256)) / 4, adafactor: 0.01 } as const;
/** Logits, log-softmax or softmax, and what the operation in progress makes of them. */
const LOGIT_COPIES = 4;
const CAPPED_LOGIT_COPIES = 8;
/** Node, ONNX Runtime, graphs, reading buffers; measured. */
const RUNTIME_MIB = 150;
/** Of each layer in the graph of a whole step, what ONNX Runtime makes of its nodes; measured. */
const GRAPH_LAYER_MIB = 1;
/** Layer by layer: the borders of layers, and what passed along them both ways and is not collected yet. */
const BORDER_COPIES = 3;
/** What TensorFlow.js in WebAssembly takes beside that, and the room a frozen weight takes in its heap; measured. */
const TENSORFLOW_MIB = 220;
const TENSORFLOW_COPIES = 1.4;
/** Temporary values of the operations in progress, as copies of one layer's kept values. */
const WORKING_LAYERS = 3;

/** What of a run's settings decides its memory here. */
export function nodeTuning({
  tuning,
  hyperparameters,
  mode = 'train',
}: {
  readonly tuning: Tuning;
  readonly hyperparameters: Pick<Hyperparameters, 'optimizer' | 'earlyStoppingPatience'>;
  readonly mode?: RunMode;
}): Required<Pick<NodeMemoryQuestion, 'trains' | 'optimiserCopies' | 'keptCopies' | 'weightBits'>> {
  const optimiserCopies = optimiserCopiesOf(tuning, hyperparameters.optimizer);
  const keptCopies = mode === 'train' && hyperparameters.earlyStoppingPatience !== undefined ? 1 : 0;
  const common = { optimiserCopies, keptCopies, weightBits: tuning.type === 'qlora' ? 8 : 32 } as const;
  if (mode !== 'train' || tuning.type === 'lora' || tuning.type === 'qlora') return { trains: 'adapter', ...common };
  return { trains: tuning.type === 'full' ? 'outer' : 'layers', ...common };
}

/** What 8 bits save of an adapter is not counted: its narrow and small matrices keep more in scales, or all in float32. */
function optimiserCopiesOf({ type }: Tuning, optimizer: Hyperparameters['optimizer']): number {
  const isAdapter = type === 'lora' || type === 'qlora';
  if (optimizer === 'adafactor') return OPTIMISER_COPIES.adafactor;
  return optimizer === 'adamw8bit' && !isAdapter ? OPTIMISER_COPIES.adamw8bit : OPTIMISER_COPIES.adamw;
}

const linears = ({ hiddenSize, intermediateSize, heads, keyValueHeads, headDim }: NodeMemoryQuestion): number =>
  hiddenSize * (2 * heads * headDim + 2 * keyValueHeads * headDim + 3 * intermediateSize + 2);

/** On whose way back something is trained: all, or the topmost ones. */
const layersKept = (question: NodeMemoryQuestion): number =>
  question.trains === 'layers'
    ? Math.min(question.layers, Math.round(question.trainedParameters / linears(question)))
    : question.layers;

/** What is trained beside the model, gradients and optimiser, in floats; `passing`: what is gone at the end of a pass. */
function trainedParts(question: NodeMemoryQuestion, passing: number): { name: PlanComponent; floats: number }[] {
  const { trainedParameters: trained, trains = 'adapter', memoryMode } = question;
  const copies = (question.optimiserCopies ?? OPTIMISER_COPIES.adamw) + (question.keptCopies ?? 0);
  const embedding = question.vocabularySize * question.hiddenSize;
  // Of a micro-batch all gradients are there at once, or those of a layer or the outer weights at a time.
  const outerMatrices = trains === 'outer' ? (question.tiedEmbeddings ? 1 : 2) : (question.wholeMatrices ?? 0);
  const outer = outerMatrices * embedding;
  const atOnce = memoryMode === 'whole-step' ? trained : Math.min(trained, Math.max(outer, linears(question)));
  // On the way back the embeddings' gradient from both ends and their sum lie side by side; at the end all come as copies.
  const both = outer > 0 ? 2 * embedding : 0;
  const beside = memoryMode === 'whole-step' ? Math.max(both, trained - passing) : 0;
  if (trains === 'adapter') return [{ name: 'adapterAndOptimiser', floats: (2 + copies) * trained + atOnce + beside }];
  return [
    { name: 'gradients', floats: trained + atOnce + beside },
    { name: 'optimiser', floats: copies * trained },
  ];
}

/** Frozen weights that TensorFlow.js keeps in its own heap: those of the graphs in use, in floats. */
function heldByTensorFlow(question: NodeMemoryQuestion, embeddings: number): number {
  const { layers, trains = 'adapter', trainedParameters, memoryMode, vocabularySize, hiddenSize } = question;
  if (trains === 'outer') return 0;
  // The ways forward and back keep a layer each, the head its matrix.
  if (memoryMode === 'layer-recompute') return 2 * linears(question) + vocabularySize * hiddenSize;
  return layers * linears(question) + embeddings - (trains === 'layers' ? trainedParameters : 0);
}

/** Memory of one run in float32. Calibrated by measurement; see docs/adr/0003-training-engine.md. */
export function estimateNodeMemory(question: NodeMemoryQuestion): NodeMemoryEstimate {
  const { layers, hiddenSize, intermediateSize, heads, keyValueHeads, headDim, microBatchTokens: tokens } = question;
  const isWhole = question.memoryMode === 'whole-step';
  const queries = heads * headDim;
  const keys = keyValueHeads * headDim;
  const embeddings = question.vocabularySize * hiddenSize * (question.tiedEmbeddings ? 1 : 2);
  const beyond = architectureMemory(question.architecture);
  const keptBeyond =
    (beyond.headNorms ? queries + keys : 0) +
    (beyond.sandwichNorms ? 2 * hiddenSize : 0) +
    (beyond.softCaps ? heads * tokens : 0);
  const keptPerToken = 7 * hiddenSize + 2 * queries + 3 * keys + 4 * intermediateSize + heads * tokens + keptBeyond;
  // Layer by layer, the head is done before a layer's values are there.
  const capped = beyond.softCaps && isWhole;
  const logitCopies = capped ? CAPPED_LOGIT_COPIES : LOGIT_COPIES;
  const layerFloats = tokens * keptPerToken;
  const keptLayers = layersKept(question);
  const keptFloats = keptLayers * (isWhole ? layerFloats : BORDER_COPIES * tokens * hiddenSize);
  const activations = keptFloats + WORKING_LAYERS * layerFloats;
  const head = logitCopies * question.microBatchTrained * question.vocabularySize;
  // Of few bits, the weights of the layers that are computed at once lie beside them in float32.
  const { weightBits = 32 } = question;
  const linearFloats = (layers * linears(question) * weightBits) / 32;
  const layersAtOnce = isWhole ? layers : 1;
  const unpacked = weightBits === 32 ? 0 : layersAtOnce * linears(question);
  const onTensorFlow = question.engine === 'tensorflow';
  const runtimeMib = RUNTIME_MIB + (isWhole ? layers * GRAPH_LAYER_MIB : 0) + (onTensorFlow ? TENSORFLOW_MIB : 0);
  const held = onTensorFlow ? TENSORFLOW_COPIES * heldByTensorFlow(question, embeddings) : 0;
  const mib = (floats: number): number => Math.round((floats * FLOAT_BYTES * 10) / MIB) / 10;
  const components: { name: PlanComponent; mib: number }[] = [
    { name: 'weights', mib: mib(linearFloats + unpacked + embeddings + held) },
    ...trainedParts(question, activations + head).map(({ name, floats }) => ({ name, mib: mib(floats) })),
    { name: 'activations', mib: mib(activations) },
    { name: 'head', mib: mib(head) },
    { name: 'runtime', mib: runtimeMib },
  ];
  return { components, totalMib: Math.ceil(components.reduce((sum, part) => sum + part.mib, 0)) };
}
