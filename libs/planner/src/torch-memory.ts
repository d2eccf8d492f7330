import { givesPoints } from '@luthier/contracts';
import type { Method, ModelShape, Optimizer, PlanComponent, Precision, Tuning } from '@luthier/contracts';
import { layerParameters, linearShapes, wholeParameters } from './memory.js';
import type { MemoryEstimate } from './memory.js';
import { fewBitsBytes, frozenBytes, movingBytes, trainedBytes, trainsWeights } from './torch-weights.js';

/** What decides the memory of each process of a run of the PyTorch runtime, whatever way it takes. */
export interface TorchRun {
  readonly shape: ModelShape;
  readonly method: Method['type'];
  readonly tuning: Tuning;
  /** @default 'adamw' */
  readonly optimizer?: Optimizer | undefined;
  /** The most that goes through the model as a whole: a row, or both rows of a pair. */
  readonly passTokens: number;
  readonly precision: Precision;
  /** Of the run, over all nodes. */
  readonly processes: number;
  readonly onGpu: boolean;
  /** The machine's memory for each process; undefined: not known. */
  readonly hostMib?: number | undefined;
  /** Whether embeddings are made noisy; @default false */
  readonly neftune?: boolean;
  /** Answers that are generated together, each with all that stands before it; @default none */
  readonly answersTogether?: number;
  /** Whether a model is held near to what it was, which an adapter still tells when it is turned off; @default false */
  readonly keepsStart?: boolean;
}

/** One way of spending memory. */
export interface TorchWay {
  readonly memoryMode: MemoryEstimate['memoryMode'];
  /** Micro-batches are filled up to this many tokens; a longer row has one of its own. */
  readonly tokenBudget: number;
  /** Whether each process holds a part of the model in place of all of it. */
  readonly sharded: boolean;
  /** Whether that part lies in the machine's memory, and only what is computed on the GPU. @default false */
  readonly offloaded?: boolean;
  /** Whether each process takes a part of each row. @default false */
  readonly rowsShared?: boolean;
}

const MIB = 1024 * 1024;
const FLOAT_BYTES = 4;
const HALF_BYTES = 2;
const CPU_TOKEN_BUDGETS = [512];
const GPU_TOKEN_BUDGETS = [16_384, 8_192, 4_096, 2_048, 1_024, 512];
/** Positions whose scores are in memory at a time, and in how many copies. */
const HEAD_POSITIONS = 256;
const LOGIT_COPIES = 4;
/** Python, PyTorch, transformers, PEFT and bitsandbytes once imported; measured. */
const RUNTIME_MIB = 800;
/** What of a sharded model is whole at a time: a layer, and the next one that is fetched meanwhile. */
const WHOLE_LAYERS = 2;
/** Of a GPU's free memory, what a run is planned to take; the rest is for the libraries and lost between blocks. */
const PLANNED_SHARE = 0.92;

/**
 * The same numbers as `runtime_torch/devices/memory_plan.py`, by which that runtime decides (a test compares). The reference of
 * DPO and KTO is not among them: its log-probabilities are measured before the first step by the model that is trained
 * afterwards, so there is never a second model, and what is kept of them is a number for each row.
 */
export function estimateTorchMemory(run: TorchRun, way: TorchWay): MemoryEstimate {
  const { shape, method, tuning, optimizer, precision, processes, onGpu } = run;
  const half = precision !== 'float32';
  const weightBytes = weightBytesOf(run);
  // Of weights in single precision, the copies in halves with which is computed. The way back keeps them, also of layers whose
  // whole weights were given back; one that is computed again not.
  const castAgain = way.sharded && way.memoryMode === 'layer-recompute';
  const castNumbers = trainsWeights(tuning) ? shape.parameters : wholeParameters(shape, tuning);
  const cast = half && !castAgain ? HALF_BYTES * castNumbers : 0;
  const onDevice = way.offloaded === true ? 0 : 1 / (way.sharded ? processes : 1);
  // A reward model gives a row one number, no score for each word.
  const words = givesPoints(method) ? 0 : shape.vocabularySize;
  // Keys and values of all tokens before the next one.
  const cached = (run.answersTogether ?? 0) * run.passTokens;
  const cacheFloats = 2 * shape.layers * shape.kvHeads * shape.headDim * cached;
  const cacheMib = (cacheFloats * (half ? HALF_BYTES : FLOAT_BYTES)) / MIB;
  const components: { name: PlanComponent; mib: number }[] = [
    { name: 'weights', mib: (frozenBytes(shape, tuning, weightBytes) * onDevice + cast) / MIB },
    { name: 'adapterAndOptimiser', mib: (trainedBytes(shape, tuning, optimizer, run.keepsStart) * onDevice) / MIB },
    { name: 'activations', mib: activationBytes(run, way, half ? HALF_BYTES : FLOAT_BYTES) / MIB },
    { name: 'head', mib: (LOGIT_COPIES * HEAD_POSITIONS * words * FLOAT_BYTES) / MIB },
    ...(cached > 0 ? [{ name: 'cache' as const, mib: cacheMib }] : []),
    // On a GPU what is free is measured with the libraries loaded.
    { name: 'runtime', mib: onGpu ? 0 : RUNTIME_MIB },
    ...(way.sharded ? [{ name: 'wholeLayers' as const, mib: wholeLayersMib(run, weightBytes) }] : []),
  ];
  const neededMib = components.reduce((sum, { mib }) => sum + mib, 0);
  const all = onGpu
    ? [...components, { name: 'reserve' as const, mib: neededMib / PLANNED_SHARE - neededMib }]
    : components;
  return {
    components: all.map(({ name, mib }) => ({ name, mib: Math.round(mib * 10) / 10 })),
    totalMib: Math.ceil(all.reduce((sum, { mib }) => sum + mib, 0)),
    memoryMode: way.memoryMode,
    sharded: way.sharded,
    offloaded: way.offloaded ?? false,
    rowsShared: way.rowsShared ?? false,
  };
}

/** What a run that leaves its parts in the machine's memory takes of it for each process. */
function offloadedMib(run: TorchRun): number {
  const { shape, tuning, optimizer, processes, keepsStart } = run;
  const kept = frozenBytes(shape, tuning, weightBytesOf(run)) + trainedBytes(shape, tuning, optimizer, keepsStart);
  return kept / processes / MIB + RUNTIME_MIB;
}

/** What is trained is kept in single precision, whatever it is computed in. */
const weightBytesOf = ({ tuning, precision }: TorchRun): number =>
  precision !== 'float32' && !trainsWeights(tuning) ? HALF_BYTES : FLOAT_BYTES;

/**
 * Numbers that autograd keeps of a layer for a token: what two norms are given and give, queries with the keys and values of
 * as many heads, the answer of attention and its copy, four of the MLP's width and what is made of one more. In halves there
 * are copies between precisions besides. Measured: docs/reference/memory.md.
 */
function keptOfToken({ shape, precision }: TorchRun): number {
  const { hiddenSize, intermediateSize, heads, kvHeads, headDim } = shape;
  if (precision !== 'float32') return 14 * hiddenSize + 6 * (heads + kvHeads) * headDim + 8 * intermediateSize;
  return 4 * hiddenSize + 5 * heads * headDim + 5 * intermediateSize;
}

/**
 * What autograd keeps, and what is made of a matrix meanwhile. DoRA: each output of the weights and of the adapter, too, and
 * in single precision the weight that the adapter makes of one matrix.
 */
function activationBytes(run: TorchRun, way: TorchWay, numberBytes: number): number {
  const { shape, tuning, passTokens, processes } = run;
  const { layers, hiddenSize, heads, kvHeads, headDim } = shape;
  const passed = Math.max(way.tokenBudget, passTokens);
  const tokens = passed / (way.rowsShared ? processes : 1);
  // Keys and values of all processes, and once more with as many heads as queries have.
  const gathered = way.rowsShared ? 2 * (heads + kvHeads) * headDim * passed : 0;
  const dora = (tuning.type === 'lora' || tuning.type === 'qlora') && tuning.useDora === true;
  const matrices = linearShapes(shape);
  const outputs = dora ? 2 * matrices.reduce((sum, [, o]) => sum + o, 0) : 0;
  const moving = movingBytes(shape, tuning) / (way.sharded ? processes : 1);
  const working = dora ? FLOAT_BYTES * Math.max(...matrices.map(([i, o]) => i * (i + 3 * o))) : moving;
  const kept = keptOfToken(run) + outputs;
  const layer = (tokens * kept + gathered) * numberBytes;
  const whole = way.memoryMode === 'whole-step';
  return (whole ? layers * layer : layers * tokens * hiddenSize * numberBytes + layer) + working;
}

/** The whole weights of what is computed, and their gradients before they are dealt out. */
function wholeLayersMib({ shape, tuning }: TorchRun, weightBytes: number): number {
  const layer = layerParameters(shape);
  const whole = WHOLE_LAYERS * layer + shape.parameters - shape.layers * layer;
  const beside = wholeParameters(shape, tuning) * 2 * FLOAT_BYTES;
  if (tuning.type === 'qlora')
    return (fewBitsBytes(shape, tuning.bits, WHOLE_LAYERS, whole, weightBytes) + beside) / MIB;
  return (whole * (weightBytes + (tuning.type === 'full' ? FLOAT_BYTES : 0)) + beside) / MIB;
}

/** Where each token of a row is learnt by itself, several processes can each take a part of it. */
const sharesRows = ({ method, processes, neftune = false }: TorchRun): boolean =>
  processes > 1 && (method === 'supervised' || method === 'pretrain') && !neftune;

/**
 * From the fastest. A model is sharded where the whole of it is trained, unless it answers, which takes a pass for each token;
 * and where it does not fit otherwise. Rows are shared where they are too long for one process; and a model leaves a GPU, also
 * a single one, only at last.
 */
function waysOf(run: TorchRun): TorchWay[] {
  const { method, tuning, processes, onGpu, hostMib = 0 } = run;
  const several = processes > 1;
  const whole = several && tuning.type === 'full' && method !== 'grpo' ? [] : [false];
  const offloads = onGpu && offloadedMib(run) <= hostMib;
  const inMemory = [...whole, ...(several ? [true] : [])].map((sharded) => ({ sharded, offloaded: false }));
  const held = [
    ...inMemory,
    ...(sharesRows(run) ? inMemory.map((one) => ({ ...one, rowsShared: true })) : []),
    ...(offloads ? [{ sharded: true, offloaded: true }] : []),
  ];
  return held.flatMap((how) =>
    (['whole-step', 'layer-recompute'] as const).flatMap((memoryMode) =>
      (onGpu ? GPU_TOKEN_BUDGETS : CPU_TOKEN_BUDGETS).map((tokenBudget) => ({ memoryMode, tokenBudget, ...how })),
    ),
  );
}

/** The way that the runtime takes within `limitMib` for each process; where none fits, what the last one would need. */
export function planTorchMemory(run: TorchRun, limitMib: number): MemoryEstimate {
  const ways = waysOf(run).map((way) => estimateTorchMemory(run, way));
  const found = ways.find(({ totalMib }) => totalMib <= limitMib) ?? ways.at(-1);
  if (!found) throw new Error('there is always a way');
  // Another device is not chosen for being so small that the model has to leave it.
  const alike = ways.filter(({ offloaded }) => found.offloaded || !offloaded);
  return { ...found, leastMib: Math.min(...alike.map(({ totalMib }) => totalMib)) };
}
