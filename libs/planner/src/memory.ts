import type { ModelShape, PlanComponent, Tuning } from '@luthier/contracts';
import { architectureMemory } from './architecture-memory.js';

export interface MemoryQuestion {
  shape: ModelShape;
  tuning: Tuning;
  /** Tokens that go through the model at the same time. */
  microBatchTokens: number;
  /** Longest row after the cut. */
  rowTokens: number;
  /** What the run may take. Chooses between the ways of spending memory. */
  limitMib: number;
}

export interface MemoryEstimate {
  components: { name: PlanComponent; mib: number }[];
  totalMib: number;
  /** `whole-step` keeps every activation, `layer-recompute` one layer's at a time. */
  memoryMode: 'whole-step' | 'layer-recompute';
  /** Whether each process holds a part of the model in place of all of it. @default false */
  sharded?: boolean;
  /** Whether that part lies in the machine's memory instead of the device's. @default false */
  offloaded?: boolean;
  /** Whether each process takes a part of each row. @default false */
  rowsShared?: boolean;
  /** Of a device that it could still run on, more slowly. @default totalMib */
  leastMib?: number;
}

const MIB = 1024 * 1024;
const FLOAT_BYTES = 4;
/** Process, libraries, graphs and buffers that do not depend on the model. */
const OVERHEAD_MIB = 300;
/** An activation and its gradient. */
const WITH_GRADIENT = 2;
/** Logits, their softmax and their gradient. */
const LOGIT_COPIES = 3;

/** Linear layers of one block, as (inputs, outputs). */
export function linearShapes(shape: ModelShape): [number, number][] {
  const { hiddenSize: h, intermediateSize: m, heads, kvHeads, headDim } = shape;
  return [
    [h, heads * headDim],
    [h, kvHeads * headDim],
    [h, kvHeads * headDim],
    [heads * headDim, h],
    [h, m],
    [h, m],
    [m, h],
  ];
}

/** Numbers of one block, with those of its norms and of the biases that its architecture has. */
export const layerParameters = (shape: ModelShape): number =>
  linearShapes(shape).reduce((sum, [i, o]) => sum + i * o, 0) + vectorParameters(shape);

function vectorParameters({ architecture, hiddenSize, heads, kvHeads, headDim }: ModelShape): number {
  const { biases, headNorms, sandwichNorms } = architectureMemory(architecture);
  const norms = (sandwichNorms ? 4 : 2) * hiddenSize + (headNorms ? 2 * headDim : 0);
  return norms + (biases ? (heads + 2 * kvHeads) * headDim : 0);
}

/** Of embeddings and output weights, how many matrices an adapter's tuning trains whole; where they are tied they are one. */
export function wholeMatrices({ tiedEmbeddings }: Pick<ModelShape, 'tiedEmbeddings'>, tuning: Tuning): number {
  const modules = tuning.type === 'lora' || tuning.type === 'qlora' ? new Set(tuning.modulesToSave).size : 0;
  return tiedEmbeddings ? Math.min(1, modules) : modules;
}

/** Numbers of those matrices. */
export const wholeParameters = (shape: ModelShape, tuning: Tuning): number =>
  wholeMatrices(shape, tuning) * shape.vocabularySize * shape.hiddenSize;

/** Numbers that are trained. A named subset of layers counts as all of them: an upper bound. */
export function trainableParameters(shape: ModelShape, tuning: Tuning): number {
  switch (tuning.type) {
    case 'lora':
    case 'qlora':
      // DoRA has a magnitude for each output besides.
      return (
        shape.layers *
          linearShapes(shape).reduce((sum, [i, o]) => sum + tuning.r * (i + o) + (tuning.useDora ? o : 0), 0) +
        wholeParameters(shape, tuning)
      );
    case 'full':
      return shape.parameters;
    case 'freeze':
      return Math.min(tuning.trainableLayers, shape.layers) * layerParameters(shape);
  }
}

function weightBytes(shape: ModelShape, tuning: Tuning): number {
  if (tuning.type === 'qlora') return (shape.parameters * tuning.bits) / 8;
  return shape.parameters * FLOAT_BYTES;
}

/** Memory per component of one training process, in MiB; single precision, AdamW. Pure arithmetic on the shape. */
export function estimateMemory(question: MemoryQuestion): MemoryEstimate {
  const whole = estimateMode(question, 'whole-step');
  return whole.totalMib <= question.limitMib ? whole : estimateMode(question, 'layer-recompute');
}

function estimateMode(question: MemoryQuestion, memoryMode: MemoryEstimate['memoryMode']): MemoryEstimate {
  const { shape, tuning, microBatchTokens: tokens, rowTokens } = question;
  const trained = trainableParameters(shape, tuning);
  const perLayer =
    tokens * (14 * shape.hiddenSize + 6 * shape.intermediateSize + 3 * shape.heads * rowTokens) * FLOAT_BYTES;
  const kept = shape.layers * tokens * shape.hiddenSize * FLOAT_BYTES;
  const activations =
    memoryMode === 'whole-step' ? WITH_GRADIENT * shape.layers * perLayer : kept + WITH_GRADIENT * perLayer;
  const parts: { name: PlanComponent; bytes: number }[] = [
    { name: 'weights', bytes: weightBytes(shape, tuning) },
    { name: 'adapter', bytes: tuning.type === 'full' ? 0 : trained * FLOAT_BYTES },
    { name: 'gradients', bytes: trained * FLOAT_BYTES },
    { name: 'optimiser', bytes: 2 * trained * FLOAT_BYTES },
    { name: 'activations', bytes: activations },
    { name: 'logits', bytes: LOGIT_COPIES * tokens * shape.vocabularySize * FLOAT_BYTES },
    { name: 'runtime', bytes: OVERHEAD_MIB * MIB },
  ];
  const components = parts.map(({ name, bytes }) => ({ name, mib: Math.round((bytes / MIB) * 10) / 10 }));
  return { components, totalMib: Math.ceil(components.reduce((sum, { mib }) => sum + mib, 0)), memoryMode };
}
