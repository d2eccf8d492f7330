import { expect, it } from '@jest/globals';
import * as ops from '../../graph/ops.js';
import { lowerToOnnx } from './lower.js';

it('a model tells the shapes that ONNX Runtime cannot infer, in sizes that are known when it is run', () => {
  const tokens = (name: string, shape: readonly string[]) => ops.input(name, shape, 'feed', 'int64');
  const [places, back] = [tokens('places', ['R', 'B']), tokens('back', ['N'])];
  const rows = ops.moveRows(ops.exp(ops.input('x', ['N', 4])), places, back);
  const heads = ops.reshape(rows, ['R', 'S', 2, 2]);
  const { bytes } = lowerToOnnx({
    y: ops.moveRows(ops.neg(rows), back, places),
    z: ops.sum(ops.exp(heads), [1, 2, 3]),
  });
  const model = Buffer.from(bytes);
  // One row of zeros behind all; the axes before the last as one; a size that only the graph names.
  for (const size of ['N+1', 'R*B', 'R*B+1', 'S']) expect(model.includes(size)).toBe(true);
});
