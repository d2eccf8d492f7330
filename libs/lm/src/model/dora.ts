import type { TensorData } from '../executor/executor.js';
import { scalesOf } from './quantise.js';

/** Squared norms [out] of the rows of the weight [out, in] called `name`. Throws RangeError when it is missing. */
export function rowSquares(weights: ReadonlyMap<string, TensorData>, name: string): Float32Array {
  const found = weights.get(name);
  if (!found) throw new RangeError(`The model has no weight "${name}".`);
  const [out = 0, inner = 0] = found.dims;
  const values = found.data as Float32Array | Int8Array;
  const scales = weights.get(scalesOf(name))?.data as Float32Array | undefined;
  const squares = new Float32Array(out);
  for (let row = 0; row < out; row += 1) {
    let sum = 0;
    for (let i = row * inner; i < (row + 1) * inner; i += 1) sum += (values[i] ?? 0) ** 2;
    squares[row] = sum * (scales?.[row] ?? 1) ** 2;
  }
  return squares;
}
