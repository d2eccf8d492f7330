import type { Tensor } from '@tensorflow/tfjs-core';
import type { Tf } from './flavours.js';

interface ProductFlags {
  readonly transA: boolean;
  readonly transB: boolean;
}

/** Product over the last two axes; leading axes broadcast. */
export type Product = (a: Tensor, b: Tensor, flags: ProductFlags) => Tensor;

export const nativeProduct =
  (tf: Tf): Product =>
  (a, b, { transA, transB }) =>
    tf.matMul(a, b, transA, transB);

/**
 * For the wasm backend, whose fast path (XNNPACK) takes one product of two matrices as they lie: transposed and batched
 * ones go through a loop of a tenth of the speed. So matrices are transposed, and batches multiplied one by one.
 */
export const plainProduct =
  (tf: Tf): Product =>
  (a, b, { transA, transB }) => {
    const [left, right] = [transA ? swapLast(tf, a) : a, transB ? swapLast(tf, b) : b];
    if (left.rank === 2 && right.rank === 2) return tf.matMul(left, right);
    return batched(tf, left, right);
  };

function swapLast(tf: Tf, x: Tensor): Tensor {
  const axes = x.shape.map((_, axis) => axis);
  return tf.transpose(x, [...axes.slice(0, -2), x.rank - 1, x.rank - 2]);
}

function batched(tf: Tf, a: Tensor, b: Tensor): Tensor {
  const lead = tf.broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const [rows = 1, inner = 1, columns = 1] = [a.shape.at(-2), a.shape.at(-1), b.shape.at(-1)];
  // One matrix for all: the rows of the batch are rows of one product.
  if (b.size === inner * columns)
    return tf.reshape(tf.matMul(tf.reshape(a, [-1, inner]), tf.reshape(b, [inner, columns])), [...lead, rows, columns]);
  const count = lead.reduce((x, y) => x * y, 1);
  const list = (x: Tensor, height: number, width: number): Tensor[] =>
    tf.unstack(tf.reshape(tf.broadcastTo(x, [...lead, height, width]), [count, height, width]));
  const [lefts, rights] = [list(a, rows, inner), list(b, inner, columns)];
  const products = lefts.map((left, i) => tf.matMul(left, rights[i] ?? left));
  return tf.reshape(tf.stack(products), [...lead, rows, columns]);
}
