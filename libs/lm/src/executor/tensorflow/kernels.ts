import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import type { Node, Op } from '../../graph/node.js';
import type { Tf } from './flavours.js';
import type { Product } from './products.js';
import { dimsOf } from './sizes.js';
import type { Sizes } from './sizes.js';

interface KernelContext {
  readonly tf: Tf;
  readonly product: Product;
  readonly sizes: Sizes;
}

/** The value of a node from those of its inputs. What it makes on the way is freed by the caller. */
type Kernel = (context: KernelContext, node: Node, inputs: readonly Tensor[]) => Tensor;

const input = (inputs: readonly Tensor[], index: number): Tensor => {
  const found = inputs[index];
  if (!found) throw new Error(`an operation lacks its input ${index}`);
  return found;
};

const unary =
  (apply: (tf: Tf, x: Tensor) => Tensor): Kernel =>
  ({ tf }, _node, inputs) =>
    apply(tf, input(inputs, 0));

const binary =
  (apply: (tf: Tf, a: Tensor, b: Tensor) => Tensor): Kernel =>
  ({ tf }, _node, inputs) =>
    apply(tf, input(inputs, 0), input(inputs, 1));

/** Shares the data of its input. */
const same = unary((tf, x) => tf.clone(x));

const matmul: Kernel = ({ tf, product }, node, inputs) => {
  const { transA = false, transB = false, alpha = 1 } = node.attributes;
  const found = product(input(inputs, 0), input(inputs, 1), { transA, transB });
  return alpha === 1 ? found : tf.mul(found, alpha);
};

const meanOfLast = (tf: Tf, x: Tensor): Tensor => tf.mean(x, -1, true);
const inverseNorm = (tf: Tf, x: Tensor, node: Node): Tensor =>
  tf.rsqrt(tf.add(meanOfLast(tf, tf.square(x)), node.attributes.epsilon ?? 0));

const rmsNorm: Kernel = ({ tf }, node, inputs) => {
  const x = input(inputs, 0);
  return tf.mul(tf.mul(x, inverseNorm(tf, x, node)), input(inputs, 1));
};

/** With r = 1/sqrt(mean(x^2) + epsilon) and h = g * weight: r h - r^3 x mean(h x). */
const rmsNormGrad: Kernel = ({ tf }, node, inputs) => {
  const x = input(inputs, 1);
  const r = inverseNorm(tf, x, node);
  const h = tf.mul(input(inputs, 0), input(inputs, 2));
  const along = tf.mul(x, tf.mul(meanOfLast(tf, tf.mul(h, x)), tf.square(r)));
  return tf.mul(tf.sub(h, along), r);
};

const siluGrad: Kernel = ({ tf }, _node, inputs) => {
  const x = input(inputs, 1);
  const s = tf.sigmoid(x);
  return tf.mul(input(inputs, 0), tf.mul(s, tf.add(tf.mul(x, tf.sub(1, s)), 1)));
};

const GELU_SCALE = Math.sqrt(2 / Math.PI);
const GELU_CUBIC = 0.044715;

/** tanh(sqrt(2 / pi) (x + 0.044715 x^3)). */
const geluBend = (tf: Tf, x: Tensor): Tensor =>
  tf.tanh(tf.mul(tf.mul(x, tf.add(tf.mul(tf.square(x), GELU_CUBIC), 1)), GELU_SCALE));

/** With t = tanh(u): (1 + t + x (1 - t^2) u') / 2. */
const geluTanhGrad: Kernel = ({ tf }, _node, inputs) => {
  const x = input(inputs, 1);
  const t = geluBend(tf, x);
  const inner = tf.mul(tf.add(tf.mul(tf.square(x), 3 * GELU_CUBIC), 1), GELU_SCALE);
  const slope = tf.add(tf.add(t, 1), tf.mul(tf.mul(x, tf.sub(1, tf.square(t))), inner));
  return tf.mul(input(inputs, 0), tf.mul(slope, 0.5));
};

const rope: Kernel = ({ tf }, _node, inputs) => {
  const [x, positions, table] = [input(inputs, 0), tf.reshape(input(inputs, 1), [-1]), input(inputs, 2)];
  const [count = 1, width = 1] = x.shape;
  const half = table.shape[1] ?? 1;
  const angles = (of: Tensor): Tensor => tf.reshape(tf.gather(of, positions), [count, 1, half]);
  const [cosines, sines] = [angles(table), angles(input(inputs, 3))];
  const pairs = tf.reshape(x, [count, width / (2 * half), 2 * half]);
  const [first, second] = tf.split(pairs, 2, 2) as [Tensor, Tensor];
  const rotated = [
    tf.sub(tf.mul(first, cosines), tf.mul(second, sines)),
    tf.add(tf.mul(second, cosines), tf.mul(first, sines)),
  ];
  return tf.reshape(tf.concat(rotated, 2), [count, width]);
};

const flat = (tf: Tf, x: Tensor): Tensor1D => tf.reshape(x, [-1]);

/** Rows of x added up at `positions` of zeros [count, width]. */
function scatterRows(tf: Tf, x: Tensor, positions: Tensor, count: number, width: number): Tensor {
  return tf.scatterND(tf.reshape(positions, [-1, 1]), tf.reshape(x, [-1, width]), [count, width]);
}

const scatterAddRows: Kernel = ({ tf, sizes }, node, inputs) => {
  const [count = 1, ...rest] = dimsOf(node, sizes);
  const width = rest.reduce((a, b) => a * b, 1);
  return tf.reshape(scatterRows(tf, input(inputs, 0), input(inputs, 1), count, width), [count, ...rest]);
};

/** A row of zeros behind the others is what is taken where nothing is. */
const moveRows: Kernel = ({ tf }, node, inputs) => {
  const width = Number(node.shape.at(-1));
  const rows = tf.concat([tf.reshape(input(inputs, 0), [-1, width]), tf.zeros([1, width])], 0);
  return tf.gather(rows, input(inputs, 1));
};

/** [S, 2]: each row's number beside the index in that row. */
function pairsOf(tf: Tf, indices: Tensor): Tensor {
  const rows = tf.range(0, indices.shape[0] ?? 0, 1, 'int32');
  return tf.stack([rows, flat(tf, indices)], 1);
}

const pick = (tf: Tf, x: Tensor, indices: Tensor): Tensor => tf.gatherND(x, pairsOf(tf, indices));

const addAtLast: Kernel = ({ tf, sizes }, node, inputs) => {
  const [rows = 1, columns = 1] = dimsOf(node, sizes);
  const updates = flat(tf, input(inputs, 2));
  const sparse = tf.scatterND(pairsOf(tf, input(inputs, 1)), updates, [rows, columns]);
  return tf.add(input(inputs, 0), sparse);
};

const slice: Kernel = ({ tf }, node, inputs) => {
  const x = input(inputs, 0);
  const { axis = 0, start = 0, end = 0 } = node.attributes;
  const begin = x.shape.map((_, i) => (i === axis ? start : 0));
  return tf.slice(
    x,
    begin,
    x.shape.map((size, i) => (i === axis ? end - start : size)),
  );
};

const sum: Kernel = ({ tf }, node, inputs) => {
  const { axes = [], keepDims = false } = node.attributes;
  const x = input(inputs, 0);
  return axes.length === 0 ? tf.clone(x) : tf.sum(x, [...axes], keepDims);
};

const fed: Kernel = (_context, node) => {
  throw new Error(`the input "${node.attributes.name ?? ''}" is fed, not computed`);
};

export const KERNELS: Readonly<Record<Op, Kernel>> = {
  input: fed,
  constant: ({ tf }, node) => tf.scalar(node.attributes.value ?? 0),
  add: binary((tf, a, b) => tf.add(a, b)),
  sub: binary((tf, a, b) => tf.sub(a, b)),
  mul: binary((tf, a, b) => tf.mul(a, b)),
  div: binary((tf, a, b) => tf.div(a, b)),
  neg: unary((tf, x) => tf.neg(x)),
  exp: unary((tf, x) => tf.exp(x)),
  log: unary((tf, x) => tf.log(x)),
  sqrt: unary((tf, x) => tf.sqrt(x)),
  tanh: unary((tf, x) => tf.tanh(x)),
  sigmoid: unary((tf, x) => tf.sigmoid(x)),
  silu: unary((tf, x) => tf.mul(x, tf.sigmoid(x))),
  siluGrad,
  geluTanh: unary((tf, x) => tf.mul(tf.mul(x, 0.5), tf.add(geluBend(tf, x), 1))),
  geluTanhGrad,
  matmul,
  mixValues: ({ product }, _node, inputs) =>
    product(input(inputs, 1), input(inputs, 2), { transA: false, transB: false }),
  transpose: ({ tf }, node, inputs) => tf.transpose(input(inputs, 0), [...(node.attributes.perm ?? [])]),
  reshape: ({ tf, sizes }, node, inputs) => tf.reshape(input(inputs, 0), dimsOf(node, sizes)),
  sum,
  broadcastLike: ({ tf }, _node, inputs) => tf.broadcastTo(input(inputs, 0), input(inputs, 1).shape),
  softmax: unary((tf, x) => tf.softmax(x)),
  logSoftmax: unary((tf, x) => tf.logSoftmax(x)),
  rmsNorm,
  rmsNormGrad,
  rope,
  moveRows,
  dequantise: binary((tf, values, scales) => tf.mul(values, tf.reshape(scales, [-1, 1]))),
  gatherRows: binary((tf, x, indices) => tf.gather(x, indices)),
  scatterAddRows,
  pickLast: binary((tf, x, indices) => tf.reshape(pick(tf, x, indices), [-1, 1])),
  addAtLast,
  argMaxLast: unary((tf, x) => tf.argMax(x, -1)),
  crossEntropy: binary((tf, logits, labels) => tf.neg(pick(tf, tf.logSoftmax(logits), labels))),
  concat: ({ tf }, node, inputs) => tf.concat([...inputs], node.attributes.axis ?? 0),
  slice,
  detach: same,
  boundary: same,
  after: same,
};
