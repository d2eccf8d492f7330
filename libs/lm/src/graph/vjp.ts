import { Node } from './node.js';
import type { Op } from './node.js';
import * as ops from './ops.js';

/**
 * Vector-Jacobian products: from the gradient of an operation's output to those of its inputs (`undefined`: none flows).
 * `wants[i]` says whether input i needs one, so that no gradient of a frozen weight is ever built.
 */
export type Vjp = (node: Node, gradient: Node, wants: readonly boolean[]) => (Node | undefined)[];

/** Undoes broadcasting: sums `gradient` over the axes along which `x` was repeated. */
function reduceTo(gradient: Node, x: Node): Node {
  const lead = gradient.rank - x.rank;
  const axes = gradient.shape.flatMap((dim, axis) =>
    axis < lead || (x.shape[axis - lead] === 1 && dim !== 1) ? [axis] : [],
  );
  const reduced = axes.length === 0 ? gradient : ops.sum(gradient, axes, true);
  return lead === 0 ? reduced : ops.reshape(reduced, x.shape);
}

function at(node: Node, index: number): Node {
  const found = node.inputs[index];
  if (!found) throw new Error(`${node.op} has no input ${index}`);
  return found;
}

const ones = (node: Node): Node =>
  ops.broadcastLike(
    ops.reshape(
      ops.constant(1),
      node.shape.map(() => 1),
    ),
    node,
  );
const lastAxis = (node: Node): number => node.rank - 1;

/** d(op(A) op(B)): each side's gradient is again a product of the other side and the gradient. */
const matmulVjp: Vjp = (node, g, wants) => {
  const [a, b] = [at(node, 0), at(node, 1)];
  const { transA = false, transB = false, alpha = 1 } = node.attributes;
  const gradA = (): Node =>
    transA ? ops.matmul(b, g, { transA: transB, transB: true, alpha }) : ops.matmul(g, b, { transB: !transB, alpha });
  const gradB = (): Node =>
    transB ? ops.matmul(g, a, { transA: true, transB: transA, alpha }) : ops.matmul(a, g, { transA: !transA, alpha });
  return [wants[0] ? reduceTo(gradA(), a) : undefined, wants[1] ? reduceTo(gradB(), b) : undefined];
};

const rmsNormVjp: Vjp = (node, g, wants) => {
  const [x, weight] = [at(node, 0), at(node, 1)];
  const epsilon = node.attributes.epsilon ?? 0;
  const grads = wants[0] ? new Node('rmsNormGrad', [g, x, weight], x.shape, 'float32', { epsilon }) : undefined;
  if (!wants[1]) return [grads, undefined];
  const unit = ops.broadcastLike(ops.reshape(ops.constant(1), [1]), weight);
  return [grads, reduceTo(ops.mul(g, ops.rmsNorm(x, unit, epsilon)), weight)];
};

const concatVjp: Vjp = (node, g, wants) => {
  const { axis = 0, sizes = [] } = node.attributes;
  let start = 0;
  return sizes.map((size, i) => {
    start += size;
    return wants[i] ? ops.slice(g, axis, start - size, start) : undefined;
  });
};

const sliceVjp: Vjp = (node, g) => {
  const x = at(node, 0);
  const { axis = 0, start = 0, end = 0 } = node.attributes;
  const size = x.shape[axis];
  if (typeof size !== 'number') throw new Error('slice needs a static size along its axis');
  const zeros = (from: number, to: number): Node[] => (to > from ? [ops.scale(ops.slice(x, axis, from, to), 0)] : []);
  return [ops.concat([...zeros(0, start), g, ...zeros(end, size)], axis)];
};

const mixValuesVjp: Vjp = (node, g, wants) => {
  const [weights, values] = [at(node, 1), at(node, 2)];
  const scoresGradient = (): Node => {
    const dot = ops.sum(ops.mul(g, node), [lastAxis(node)], true);
    return ops.mul(ops.sub(ops.matmul(g, values, { transB: true }), dot), weights);
  };
  return [
    wants[0] ? scoresGradient() : undefined,
    undefined,
    wants[2] ? reduceTo(ops.matmul(weights, g, { transA: true }), values) : undefined,
  ];
};

const none: Vjp = (node) => {
  throw new Error(`${node.op} has no gradient`);
};

export const VJPS: Readonly<Record<Op, Vjp>> = {
  input: () => [],
  constant: () => [],
  add: (n, g, w) => [w[0] ? reduceTo(g, at(n, 0)) : undefined, w[1] ? reduceTo(g, at(n, 1)) : undefined],
  sub: (n, g, w) => [w[0] ? reduceTo(g, at(n, 0)) : undefined, w[1] ? reduceTo(ops.neg(g), at(n, 1)) : undefined],
  mul: (n, g, w) => [
    w[0] ? reduceTo(ops.mul(g, at(n, 1)), at(n, 0)) : undefined,
    w[1] ? reduceTo(ops.mul(g, at(n, 0)), at(n, 1)) : undefined,
  ],
  div: (n, g, w) => [
    w[0] ? reduceTo(ops.div(g, at(n, 1)), at(n, 0)) : undefined,
    w[1] ? reduceTo(ops.neg(ops.div(ops.mul(g, n), at(n, 1))), at(n, 1)) : undefined,
  ],
  neg: (_n, g) => [ops.neg(g)],
  exp: (n, g) => [ops.mul(g, n)],
  log: (n, g) => [ops.div(g, at(n, 0))],
  sqrt: (n, g) => [ops.scale(ops.div(g, n), 0.5)],
  sigmoid: (n, g) => [ops.mul(g, ops.mul(n, ops.sub(ones(n), n)))],
  silu: (n, g) => [new Node('siluGrad', [g, at(n, 0)], n.shape)],
  siluGrad: none,
  tanh: (n, g) => [ops.mul(g, ops.sub(ones(n), ops.mul(n, n)))],
  geluTanh: (n, g) => [new Node('geluTanhGrad', [g, at(n, 0)], n.shape)],
  geluTanhGrad: none,
  matmul: matmulVjp,
  transpose: (n, g) => {
    const perm = n.attributes.perm ?? [];
    return [
      ops.transpose(
        g,
        perm.map((_, axis) => perm.indexOf(axis)),
      ),
    ];
  },
  reshape: (n, g) => [ops.reshape(g, at(n, 0).shape)],
  sum: (n, g) => {
    const x = at(n, 0);
    const axes = n.attributes.axes ?? [];
    const kept = x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
    return [ops.broadcastLike(n.attributes.keepDims ? g : ops.reshape(g, kept), x)];
  },
  broadcastLike: (n, g) => [reduceTo(g, at(n, 0)), undefined],
  softmax: (n, g) => {
    const weighted = ops.mul(g, n);
    return [ops.sub(weighted, ops.mul(n, ops.sum(weighted, [lastAxis(n)], true)))];
  },
  mixValues: mixValuesVjp,
  moveRows: (n, g) => [ops.moveRows(g, at(n, 2), at(n, 1)), undefined, undefined],
  logSoftmax: (n, g) => [ops.sub(g, ops.mul(ops.exp(n), ops.sum(g, [lastAxis(n)], true)))],
  rmsNorm: rmsNormVjp,
  rmsNormGrad: none,
  // A rotation's transpose is the rotation by the opposite angle.
  rope: (n, g) => [ops.rope(g, at(n, 1), at(n, 2), ops.neg(at(n, 3))), undefined, undefined, undefined],
  dequantise: none,
  gatherRows: (n, g) => [ops.scatterAddRows(g, at(n, 1), at(n, 0)), undefined],
  scatterAddRows: (n, g) => [ops.gatherRows(g, at(n, 1)), undefined, undefined],
  pickLast: (n, g) => [ops.addAtLast(ops.scale(at(n, 0), 0), at(n, 1), g), undefined],
  addAtLast: (n, g) => [g, undefined, ops.pickLast(g, at(n, 1))],
  argMaxLast: none,
  // (softmax(logits) - one-hot(label)) * g; the softmax is computed again rather than kept.
  crossEntropy: (n, g) => {
    const [logits, labels] = [at(n, 0), at(n, 1)];
    const column = ops.reshape(g, [g.shape[0] ?? 1, 1]);
    const minusOne = ops.sub(ops.scale(column, 0), ops.constant(1));
    return [ops.mul(ops.addAtLast(ops.softmax(logits), labels, minusOne), column), undefined];
  },
  concat: concatVjp,
  slice: sliceVjp,
  detach: () => [undefined],
  boundary: (_n, g) => [g],
  after: (n, g) => [g, ...n.inputs.slice(1).map(() => undefined)],
};
