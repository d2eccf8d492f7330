import { Node } from './node.js';
import type { Dim, ElementType, Shape } from './node.js';

/**
 * A tensor given at run time: data, a frozen weight or a trained parameter. An executor may keep what it was fed as a
 * `weight`; what changes in its place from run to run is never one, not even in graphs that take no gradient of it.
 */
export function input(
  name: string,
  shape: Shape,
  role: 'feed' | 'weight' | 'parameter' = 'feed',
  type: ElementType = 'float32',
): Node {
  return new Node('input', [], shape, type, { name, role });
}

export function constant(value: number): Node {
  return new Node('constant', [], [], 'float32', { value });
}

function broadcastDim(a: Dim, b: Dim): Dim {
  if (a === 1) return b;
  if (b === 1 || a === b) return a;
  throw new Error(`cannot broadcast ${a} with ${b}`);
}

function broadcastShape(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => broadcastDim(a[i - rank + a.length] ?? 1, b[i - rank + b.length] ?? 1));
}

const binary =
  (op: 'add' | 'sub' | 'mul' | 'div') =>
  (a: Node, b: Node): Node =>
    new Node(op, [a, b], broadcastShape(a.shape, b.shape));
export const add = binary('add');
export const sub = binary('sub');
export const mul = binary('mul');
export const div = binary('div');

const unary =
  (op: 'neg' | 'exp' | 'log' | 'sqrt' | 'sigmoid' | 'silu' | 'tanh' | 'geluTanh' | 'softmax' | 'logSoftmax') =>
  (x: Node): Node =>
    new Node(op, [x], x.shape);
export const neg = unary('neg');
export const exp = unary('exp');
export const log = unary('log');
export const sqrt = unary('sqrt');
export const sigmoid = unary('sigmoid');
/** x * sigmoid(x). */
export const silu = unary('silu');
export const tanh = unary('tanh');
/** GELU by its tanh approximation: x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2 (Hendrycks and Gimpel, 2016). */
export const geluTanh = unary('geluTanh');
/** Over the last axis. */
export const softmax = unary('softmax');
/** Over the last axis. */
export const logSoftmax = unary('logSoftmax');

export const scale = (x: Node, factor: number): Node => mul(x, constant(factor));

/**
 * `alpha` times the matrix product over the last two axes (leading axes broadcast); `transA`/`transB` swap the last two
 * of a side.
 */
export function matmul(a: Node, b: Node, { transA = false, transB = false, alpha = 1 } = {}): Node {
  if (a.rank < 2 || b.rank < 2) throw new Error('matmul needs at least two axes');
  const [rows, innerA] = lastTwo(a.shape, transA);
  const [innerB, columns] = lastTwo(b.shape, transB);
  if (innerA !== innerB) throw new Error(`matmul of inner sizes ${innerA} and ${innerB}`);
  const batch = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  return new Node('matmul', [a, b], [...batch, rows, columns], 'float32', { transA, transB, alpha });
}

function lastTwo(shape: Shape, swap: boolean): [Dim, Dim] {
  const [first, second] = [shape.at(-2) ?? 1, shape.at(-1) ?? 1];
  return swap ? [second, first] : [first, second];
}

export function transpose(x: Node, perm: readonly number[]): Node {
  return new Node(
    'transpose',
    [x],
    perm.map((axis) => x.shape[axis] ?? 1),
    x.type,
    { perm },
  );
}

/** At most one run-time size of the target may differ from the source's at the same position. */
export function reshape(x: Node, shape: Shape): Node {
  return new Node('reshape', [x], shape, x.type);
}

export function sum(x: Node, axes: readonly number[], keepDims = false): Node {
  const shape = x.shape.flatMap((dim, axis) => (axes.includes(axis) ? (keepDims ? [1] : []) : [dim]));
  return new Node('sum', [x], shape, 'float32', { axes, keepDims });
}

/** x repeated along its axes of size 1 up to the shape of `reference`, of which only the shape is used. */
export function broadcastLike(x: Node, reference: Node): Node {
  return new Node('broadcastLike', [x, reference], reference.shape);
}

/** x / sqrt(mean(x^2) + epsilon) * weight over the last axis. */
export function rmsNorm(x: Node, weight: Node, epsilon: number): Node {
  return new Node('rmsNorm', [x, weight], x.shape, 'float32', { epsilon });
}

/**
 * Rotary position embedding in the half-rotated layout of Hugging Face. x [N, heads * D]; positions [1, N];
 * cosines and sines [table size, D/2].
 */
export function rope(x: Node, positions: Node, cosines: Node, sines: Node): Node {
  return new Node('rope', [x, positions, cosines, sines], x.shape);
}

/**
 * softmax(scores) @ values, scores being [..., M, N]. Its gradient takes sum(dP * P) as sum(dO * O), which is as wide as
 * the values and not as the scores (Dao et al. 2022, FlashAttention, appendix B).
 */
export function mixValues(scores: Node, values: Node): Node {
  const product = matmul(scores, values);
  return new Node('mixValues', [scores, softmax(scores), values], product.shape);
}

/**
 * Rows of x [..., W], its leading axes counted as one of N rows, in the places of `indices`: [...indices, W]. Where an index
 * is N there are zeros; no other is named twice. `inverse`, shaped like the leading axes of x, moves the rows back.
 */
export function moveRows(x: Node, indices: Node, inverse: Node): Node {
  return new Node('moveRows', [x, indices, inverse], [...indices.shape, x.shape.at(-1) ?? 1]);
}

/** A frozen matrix [out, in] of 8-bit integers times the scale [out] of each row, in float32. Has no gradient. */
export function dequantise(values: Node, scales: Node): Node {
  return new Node('dequantise', [values, scales], values.shape);
}

/** Rows (axis 0) of x named by `indices` [S]. */
export function gatherRows(x: Node, indices: Node): Node {
  return new Node('gatherRows', [x, indices], [indices.shape[0] ?? 1, ...x.shape.slice(1)]);
}

/** Zeros shaped like `reference`, with row i of x added to row `indices[i]`. */
export function scatterAddRows(x: Node, indices: Node, reference: Node): Node {
  return new Node('scatterAddRows', [x, indices, reference], reference.shape);
}

/** One element of each row of x [S, V], named by `indices` [S, 1]: [S, 1]. */
export function pickLast(x: Node, indices: Node): Node {
  return new Node('pickLast', [x, indices], indices.shape);
}

/** x [S, V] with `updates` [S, 1] added at `indices` [S, 1] of each row. */
export function addAtLast(x: Node, indices: Node, updates: Node): Node {
  return new Node('addAtLast', [x, indices, updates], x.shape);
}

/** Position of the greatest element of each row of x [S, V], as int64 [S]. Has no gradient. */
export function argMaxLast(x: Node): Node {
  return new Node('argMaxLast', [x], x.shape.slice(0, -1), 'int64');
}

export function concat(parts: readonly Node[], axis: number): Node {
  const first = parts[0];
  if (!first) throw new Error('concat of nothing');
  const sizes = parts.map((part) => {
    const size = part.shape[axis];
    if (typeof size !== 'number') throw new Error('concat needs static sizes along its axis');
    return size;
  });
  const total = sizes.reduce((a, b) => a + b, 0);
  return new Node(
    'concat',
    parts,
    first.shape.map((dim, i) => (i === axis ? total : dim)),
    'float32',
    { axis, sizes },
  );
}

/** Elements [start, end) of one axis of static size. */
export function slice(x: Node, axis: number, start: number, end: number): Node {
  return new Node(
    'slice',
    [x],
    x.shape.map((dim, i) => (i === axis ? end - start : dim)),
    'float32',
    { axis, start, end },
  );
}

/** Identity through which no gradient flows. */
export function detach(x: Node): Node {
  return new Node('detach', [x], x.shape);
}

/**
 * Identity. On the way back, gradients of parameters used above it are computed before anything below it, so that the
 * executor can free what they need: without it, it leaves parameter gradients to the end and keeps all activations.
 */
export function boundary(x: Node): Node {
  return new Node('boundary', [x], x.shape);
}

/** x, computed after `others`. */
export function after(x: Node, others: readonly Node[]): Node {
  return others.length === 0 ? x : new Node('after', [x, ...others], x.shape);
}

/** Negative log-likelihood [S] of `labels` [S, 1] under softmax(logits [S, V]). */
export function crossEntropy(logits: Node, labels: Node): Node {
  return new Node('crossEntropy', [logits, labels], [logits.shape[0] ?? 1]);
}
