/**
 * The symbolic graph: immutable nodes with a static rank. A dimension is a number, or the name of a size that is known
 * only when the graph is run ('N'); equal names mean equal sizes. A product such as 'N' times 6 gets a name of its own.
 */
export type Dim = number | string;
export type Shape = readonly Dim[];
export type ElementType = 'float32' | 'int64' | 'int8';

/** Attributes of an operation, and nothing that is computed. */
export interface Attributes {
  readonly name?: string;
  readonly role?: 'feed' | 'weight' | 'parameter';
  readonly value?: number;
  readonly axes?: readonly number[];
  readonly axis?: number;
  readonly keepDims?: boolean;
  readonly perm?: readonly number[];
  readonly transA?: boolean;
  readonly transB?: boolean;
  readonly alpha?: number;
  readonly epsilon?: number;
  readonly start?: number;
  readonly end?: number;
  readonly sizes?: readonly number[];
}

export type Op =
  | 'input'
  | 'constant'
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'neg'
  | 'exp'
  | 'log'
  | 'sqrt'
  | 'sigmoid'
  | 'silu'
  | 'siluGrad'
  | 'tanh'
  | 'geluTanh'
  | 'geluTanhGrad'
  | 'matmul'
  | 'transpose'
  | 'reshape'
  | 'sum'
  | 'broadcastLike'
  | 'softmax'
  | 'mixValues'
  | 'logSoftmax'
  | 'rmsNorm'
  | 'rmsNormGrad'
  | 'rope'
  | 'moveRows'
  | 'dequantise'
  | 'gatherRows'
  | 'scatterAddRows'
  | 'pickLast'
  | 'addAtLast'
  | 'argMaxLast'
  | 'crossEntropy'
  | 'concat'
  | 'slice'
  | 'detach'
  | 'boundary'
  | 'after';

let nextId = 0;

export class Node {
  readonly id = nextId++;

  constructor(
    readonly op: Op,
    readonly inputs: readonly Node[],
    readonly shape: Shape,
    readonly type: ElementType = 'float32',
    readonly attributes: Attributes = {},
  ) {}

  get rank(): number {
    return this.shape.length;
  }
}

/** Nodes that `outputs` need, each after its inputs. Order among independent nodes is that of creation. */
export function topologicalOrder(outputs: readonly Node[]): Node[] {
  const seen = new Set<Node>();
  const stack = [...outputs];
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    stack.push(...node.inputs);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}
