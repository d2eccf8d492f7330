import type { Node, Op } from '../../graph/node.js';
import { topologicalOrder } from '../../graph/node.js';
import { OnnxModel } from './onnx-model.js';

/** A graph as ONNX bytes, with the value names of its inputs and outputs. */
export interface LoweredGraph {
  readonly bytes: Uint8Array;
  readonly inputs: readonly Node[];
  /** From the caller's output names to value names in the model. */
  readonly outputNames: ReadonlyMap<string, string>;
}

/** Writes a node with the given input names; returns the name of its value. */
type Lowering = (model: OnnxModel, node: Node, inputs: readonly string[]) => string;

const direct =
  (op: string): Lowering =>
  (model, _node, inputs) =>
    model.node(op, inputs);

const overLastAxis =
  (op: string): Lowering =>
  (model, _node, inputs) =>
    model.node(op, inputs, { axis: -1 });

/** Sizes for Reshape: 0 copies the source's size at that position, -1 is inferred. */
function reshapeSizes(node: Node): number[] {
  const source = node.inputs[0]?.shape ?? [];
  const sizes = node.shape.map((dim, i) => (typeof dim === 'number' ? dim : dim === source[i] ? 0 : -1));
  if (sizes.filter((size) => size === -1).length > 1) {
    throw new Error(`reshape from [${source.join(', ')}] to [${node.shape.join(', ')}] is not determined`);
  }
  return sizes;
}

const lowerMatmul: Lowering = (model, node, inputs) => {
  const { transA = false, transB = false, alpha = 1 } = node.attributes;
  if (!transA && !transB && alpha === 1) return model.node('MatMul', inputs);
  const flags = { transA: Number(transA), transB: Number(transB) };
  return model.fused('FusedMatMul', inputs, { ...flags, alpha: { float: alpha } });
};

const lowerSum: Lowering = (model, node, inputs) => {
  const axes = node.attributes.axes ?? [];
  if (axes.length === 0) return model.node('Identity', inputs);
  const keepdims = Number(node.attributes.keepDims ?? false);
  return model.node('ReduceSum', [...inputs, model.integers(axes)], { keepdims });
};

/** sigmoid(x) (1 + x (1 - sigmoid(x))) g. */
const lowerSiluGrad: Lowering = (model, _node, [g = '', x = '']) => {
  const one = model.scalar(1);
  const s = model.node('Sigmoid', [x]);
  const slope = model.node('Add', [model.node('Mul', [model.node('Sub', [one, s]), x]), one]);
  return model.node('Mul', [model.node('Mul', [slope, s]), g]);
};

/** With u = 2 sqrt(2/pi) (x + 0.044715 x^3) and s = sigmoid(u), GELU is x s: s (1 + x (1 - s) u') g. */
const lowerGeluTanhGrad: Lowering = (model, _node, [g = '', x = '']) => {
  const one = model.scalar(1);
  const twiceRoot = model.scalar(2 * Math.sqrt(2 / Math.PI));
  const cubic = model.node('Mul', [model.node('Mul', [x, x]), model.scalar(0.044715)]);
  const u = model.node('Mul', [model.node('Mul', [model.node('Add', [cubic, one]), x]), twiceRoot]);
  const slope = model.node('Mul', [model.node('Add', [model.node('Mul', [cubic, model.scalar(3)]), one]), twiceRoot]);
  const s = model.node('Sigmoid', [u]);
  const rest = model.node('Mul', [model.node('Mul', [model.node('Sub', [one, s]), x]), slope]);
  return model.node('Mul', [model.node('Mul', [model.node('Add', [rest, one]), s]), g]);
};

/** With r = 1/sqrt(mean(x^2) + epsilon) and h = g * weight: r h - r^3 x mean(h x). */
const lowerRmsNormGrad: Lowering = (model, node, [g = '', x = '', weight = '']) => {
  const mean = (value: string): string => model.node('ReduceMean', [value, model.integers([-1])], { keepdims: 1 });
  const variance = model.node('Add', [mean(model.node('Mul', [x, x])), model.scalar(node.attributes.epsilon ?? 0)]);
  const r = model.node('Reciprocal', [model.node('Sqrt', [variance])]);
  const h = model.node('Mul', [g, weight]);
  const dot = mean(model.node('Mul', [h, x]));
  const along = model.node('Mul', [x, model.node('Mul', [dot, model.node('Mul', [r, r])])]);
  return model.node('Mul', [model.node('Sub', [h, along]), r]);
};

const lowerRope: Lowering = (model, _node, [x = '', positions = '', cosines = '', sines = '']) => {
  const batched = model.node('Unsqueeze', [x, model.integers([0])]);
  const rotated = model.fused('RotaryEmbedding', [batched, positions, cosines, sines], { interleaved: 0 });
  return model.node('Squeeze', [rotated, model.integers([0])]);
};

/** A row of zeros behind the others is what is taken where nothing is. */
const lowerMoveRows: Lowering = (model, node, [x = '', indices = '']) => {
  const width = Number(node.shape.at(-1));
  const rows = model.once(`rows of ${x}`, () => {
    const leading = node.inputs[0]?.shape.slice(0, -1) ?? [];
    const flat = leading.length === 1 ? x : model.node('Reshape', [x, model.integers([-1, width])]);
    if (flat !== x) model.describe(flat, 'float32', [leading.join('*'), width]);
    const padded = model.node('Concat', [flat, model.zeros([1, width])], { axis: 0 });
    model.describe(padded, 'float32', [`${leading.join('*')}+1`, width]);
    return padded;
  });
  return model.node('Gather', [rows, indices], { axis: 0 });
};

const lowerScatterAddRows: Lowering = (model, _node, [x = '', indices = '', reference = '']) => {
  const zeros = model.node('ConstantOfShape', [model.node('Shape', [reference])]);
  const positions = model.node('Unsqueeze', [indices, model.integers([-1])]);
  return model.node('ScatterND', [zeros, positions, x], { reduction: 'add' });
};

const lowerSlice: Lowering = (model, node, inputs) => {
  const { axis = 0, start = 0, end = 0 } = node.attributes;
  return model.node('Slice', [...inputs, model.integers([start]), model.integers([end]), model.integers([axis])]);
};

const lowerCrossEntropy: Lowering = (model, _node, [logits = '', labels = '']) => {
  const picked = model.node('GatherElements', [model.node('LogSoftmax', [logits], { axis: -1 }), labels], { axis: -1 });
  return model.node('Neg', [model.node('Squeeze', [picked, model.integers([-1])])]);
};

/** ONNX has no order without data: adds zero times the sum of what has to come first. */
const lowerAfter: Lowering = (model, _node, [x = '', ...others]) => {
  const sums = others.map((other) => model.node('ReduceSum', [other], { keepdims: 0 }));
  const nothing = model.node('Mul', [model.node('Sum', sums), model.scalar(0)]);
  return model.node('Add', [x, nothing]);
};

const LOWERINGS: Readonly<Record<Op, Lowering>> = {
  input: (_model, node) => node.attributes.name ?? '',
  constant: (model, node) => model.scalar(node.attributes.value ?? 0),
  add: direct('Add'),
  sub: direct('Sub'),
  mul: direct('Mul'),
  div: direct('Div'),
  neg: direct('Neg'),
  exp: direct('Exp'),
  log: direct('Log'),
  sqrt: direct('Sqrt'),
  sigmoid: direct('Sigmoid'),
  silu: (model, _node, inputs) => model.fused('QuickGelu', inputs, { alpha: { float: 1 } }),
  siluGrad: lowerSiluGrad,
  tanh: direct('Tanh'),
  geluTanh: (model, _node, inputs) => model.node('Gelu', inputs, { approximate: 'tanh' }),
  geluTanhGrad: lowerGeluTanhGrad,
  matmul: lowerMatmul,
  transpose: (model, node, inputs) => model.node('Transpose', inputs, { perm: node.attributes.perm ?? [] }),
  reshape: (model, node, inputs) => model.node('Reshape', [...inputs, model.integers(reshapeSizes(node))]),
  sum: lowerSum,
  broadcastLike: (model, _node, [x = '', reference = '']) =>
    model.node('Expand', [x, model.node('Shape', [reference])]),
  softmax: overLastAxis('Softmax'),
  logSoftmax: overLastAxis('LogSoftmax'),
  rmsNorm: (model, node, inputs) =>
    model.node('SimplifiedLayerNormalization', inputs, { axis: -1, epsilon: { float: node.attributes.epsilon ?? 0 } }),
  rmsNormGrad: lowerRmsNormGrad,
  rope: lowerRope,
  mixValues: (model, _node, [, weights = '', values = '']) => model.node('MatMul', [weights, values]),
  moveRows: lowerMoveRows,
  dequantise: (model, _node, inputs) => model.node('DequantizeLinear', inputs, { axis: 0 }),
  gatherRows: (model, _node, inputs) => model.node('Gather', inputs, { axis: 0 }),
  scatterAddRows: lowerScatterAddRows,
  pickLast: (model, _node, inputs) => model.node('GatherElements', inputs, { axis: -1 }),
  addAtLast: (model, _node, inputs) => model.node('ScatterElements', inputs, { axis: -1, reduction: 'add' }),
  argMaxLast: (model, _node, inputs) => model.node('ArgMax', inputs, { axis: -1, keepdims: 0 }),
  crossEntropy: lowerCrossEntropy,
  concat: (model, node, inputs) => model.node('Concat', inputs, { axis: node.attributes.axis ?? 0 }),
  slice: lowerSlice,
  detach: (_model, _node, [x = '']) => x,
  boundary: (_model, _node, [x = '']) => x,
  after: lowerAfter,
};

/** Inputs and initialisers tell their shapes themselves. */
const NOT_COMPUTED: ReadonlySet<Op> = new Set<Op>(['input', 'constant', 'detach', 'boundary']);

/** Writes the nodes that `outputs` need as an ONNX model. Inputs keep their own names. */
export function lowerToOnnx(outputs: Readonly<Record<string, Node>>): LoweredGraph {
  const model = new OnnxModel();
  const order = topologicalOrder(Object.values(outputs));
  const names = new Map<Node, string>();
  // Two nodes of one name are one input: tied embeddings are used at both ends.
  const inputs = [
    ...new Map(order.filter((node) => node.op === 'input').map((node) => [node.attributes.name ?? '', node])).values(),
  ];
  for (const node of inputs) model.input(node.attributes.name ?? '', node.type, node.shape);
  for (const node of order) {
    const parents = node.inputs.map((parent) => names.get(parent) ?? '');
    const value = LOWERINGS[node.op](model, node, parents);
    names.set(node, value);
    if (!NOT_COMPUTED.has(node.op)) model.describe(value, node.type, node.shape);
  }
  const outputNames = new Map<string, string>();
  const taken = new Set<string>(inputs.map((node) => node.attributes.name ?? ''));
  for (const [name, node] of Object.entries(outputs)) {
    const value = names.get(node) ?? '';
    const exported = taken.has(value) ? model.node('Identity', [value]) : value;
    taken.add(exported);
    model.output(exported, node.type, node.shape);
    outputNames.set(name, exported);
  }
  return { bytes: model.serialize(), inputs, outputNames };
}
