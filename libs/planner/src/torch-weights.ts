import type { ModelShape, Optimizer, Tuning } from '@luthier/contracts';
import { layerParameters, linearShapes, trainableParameters, wholeParameters } from './memory.js';

const FLOAT_BYTES = 4;
/**
 * Of a number that is trained, what an optimiser keeps: two moments, in 8 bits with a scale for 256 of them, none but the
 * means of rows and columns, one.
 */
const STATE_BYTES: Readonly<Record<Optimizer, number>> = {
  adamw: 8,
  adamw8bit: 2 * (1 + 4 / 256),
  adafactor: 0,
  muon: 4,
};
/** Of a quantised weight: its bits, and in 4 bits a scale of 8 bits for 64 of them, and one in float32 for 256 of those. */
const QUANTISED_BYTES = { 4: 0.5 + 1 / 64 + 4 / (64 * 256), 8: 1 } as const;

export const trainsWeights = ({ type }: Tuning): boolean => type === 'full' || type === 'freeze';

/** Weights that stay as they are. */
export function frozenBytes(shape: ModelShape, tuning: Tuning, numberBytes: number): number {
  if (tuning.type === 'qlora') return fewBitsBytes(shape, tuning.bits, shape.layers, shape.parameters, numberBytes);
  return (shape.parameters - (trainsWeights(tuning) ? trainableParameters(shape, tuning) : 0)) * numberBytes;
}

/** What an optimiser makes of a matrix while it moves it, and of its gradient while that is added up. */
const MATRIX_COPIES = 2;

/** Of the largest matrix that is trained whole, what is made of it besides. */
export function movingBytes(shape: ModelShape, tuning: Tuning): number {
  const { type } = tuning;
  if (type !== 'full' && type !== 'freeze')
    return wholeParameters(shape, tuning) > 0
      ? MATRIX_COPIES * FLOAT_BYTES * shape.vocabularySize * shape.hiddenSize
      : 0;
  const sizes = linearShapes(shape).map(([i, o]) => i * o);
  const largest = Math.max(...sizes, type === 'full' ? shape.vocabularySize * shape.hiddenSize : 0);
  return MATRIX_COPIES * FLOAT_BYTES * largest;
}

/** `parameters`, of which the matrices of some layers are kept in few bits; one of these at a time is made whole again. */
export function fewBitsBytes(
  shape: ModelShape,
  bits: 4 | 8,
  layers: number,
  parameters: number,
  numberBytes: number,
): number {
  const sizes = linearShapes(shape).map(([i, o]) => i * o);
  const quantised = layers * sizes.reduce((sum, size) => sum + size, 0);
  const whole = parameters - quantised + Math.max(...sizes);
  return quantised * QUANTISED_BYTES[bits] + whole * numberBytes;
}

/** Values and gradients of what is trained, what the optimiser keeps of them, and weights as they were where they stay. */
export function trainedBytes(
  shape: ModelShape,
  tuning: Tuning,
  optimizer: Optimizer = 'adamw',
  keepsStart = false,
): number {
  const start = keepsStart && trainsWeights(tuning) ? FLOAT_BYTES : 0;
  const each = 2 * FLOAT_BYTES + STATE_BYTES[optimizer] + start;
  const trained = trainableParameters(shape, tuning);
  // PiSSA's start stays beside what becomes of it.
  const ofPissa = (tuning.type === 'lora' || tuning.type === 'qlora') && tuning.initLoraWeights === 'pissa';
  if (ofPissa) return trained * (each + FLOAT_BYTES);
  if (tuning.type !== 'full' || optimizer !== 'muon') return trained * each;
  // What is of no layer Muon leaves to AdamW.
  const outer = shape.parameters - shape.layers * layerParameters(shape);
  return trained * each + (STATE_BYTES.adamw - STATE_BYTES.muon) * outer;
}
