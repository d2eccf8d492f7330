/** One tensor that is trained. */
export interface TrainedTensor {
  /** As it is stored: PEFT's name of an adapter's tensor, or Hugging Face's of a weight. */
  readonly name: string;
  readonly shape: readonly number[];
  /** First element within the flat arrays. */
  readonly offset: number;
}

/** What of a model is trained: all tensors in one array, so that optimiser and checkpoint see plain vectors. */
export interface TrainedParameters {
  readonly tensors: readonly TrainedTensor[];
  readonly values: Float32Array;
  /** What stands before the model's own names in those of its tensors. */
  readonly storedPrefix: string;
}

export const elementsOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** A view of one tensor within a flat array laid out like `values`. */
export const viewOf = (flat: Float32Array, { offset, shape }: TrainedTensor): Float32Array =>
  flat.subarray(offset, offset + elementsOf(shape));

/** Gives each of the named shapes its place, one after the other. */
export function layOut(shapes: Iterable<readonly [name: string, shape: readonly number[]]>): {
  readonly tensors: readonly TrainedTensor[];
  readonly count: number;
} {
  const tensors: TrainedTensor[] = [];
  let count = 0;
  for (const [name, shape] of shapes) {
    tensors.push({ name, shape, offset: count });
    count += elementsOf(shape);
  }
  return { tensors, count };
}
