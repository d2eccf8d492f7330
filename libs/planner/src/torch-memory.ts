import { givesPoints } from '@luthier/contracts';
import type { Method, ModelShape, PlanComponent, Tuning } from '@luthier/contracts';
import { trainableParameters } from './memory.js';
import type { MemoryEstimate } from './memory.js';

/** What decides the memory of one run of the PyTorch runtime on CPUs, in single precision. */
export interface TorchMemoryQuestion {
  readonly shape: ModelShape;
  readonly method: Method['type'];
  readonly tuning: Tuning;
  /** The most that goes through the model as a whole: a row, or both rows of a pair. */
  readonly passTokens: number;
  readonly memoryMode: MemoryEstimate['memoryMode'];
}

const MIB = 1024 * 1024;
const FLOAT_BYTES = 4;
/** Micro-batches are filled up to this many tokens. */
const TOKEN_BUDGET = 512;
/** Values, gradients and two moments. */
const TRAINED_COPIES = 4;
/** Positions whose scores are in memory at a time, and in how many copies. */
const HEAD_POSITIONS = 256;
const LOGIT_COPIES = 3;
/** Python, PyTorch, transformers and PEFT once imported; measured. */
const RUNTIME_MIB = 720;

/**
 * The same numbers as `runtime_torch/memory_plan.py`, by which that runtime decides (a test compares). The reference of
 * DPO and KTO is not among them: its log-probabilities are measured before the first step by the model that is trained
 * afterwards, so there is never a second model, and what is kept of them is a number for each row.
 */
export function estimateTorchMemory(question: TorchMemoryQuestion): MemoryEstimate {
  const { shape, method, tuning, passTokens, memoryMode } = question;
  const { layers, hiddenSize, intermediateSize, heads, kvHeads, headDim } = shape;
  const tokens = Math.max(TOKEN_BUDGET, passTokens);
  const keptPerToken = 14 * hiddenSize + 6 * (heads + kvHeads) * headDim + 8 * intermediateSize;
  const layer = tokens * keptPerToken;
  const kept = memoryMode === 'whole-step' ? layers * layer : layers * tokens * hiddenSize + layer;
  // A reward model gives a row one number, no score for each word.
  const words = givesPoints(method) ? 0 : shape.vocabularySize;
  const mib = (floats: number): number => Math.round((floats * FLOAT_BYTES * 10) / MIB) / 10;
  const components: { name: PlanComponent; mib: number }[] = [
    { name: 'weights', mib: mib(shape.parameters) },
    { name: 'adapterAndOptimiser', mib: mib(TRAINED_COPIES * trainableParameters(shape, tuning)) },
    { name: 'activations', mib: mib(kept) },
    { name: 'head', mib: mib(LOGIT_COPIES * HEAD_POSITIONS * words) },
    { name: 'runtime', mib: RUNTIME_MIB },
  ];
  return { components, totalMib: Math.ceil(components.reduce((sum, part) => sum + part.mib, 0)), memoryMode };
}
