import type { Dim, Node } from '../../graph/node.js';
import type { TensorData } from '../executor.js';

/** Run-time sizes by their names in the graph. */
export type Sizes = ReadonlyMap<string, number>;

/** Reads the sizes off the feeds. @throws RangeError naming the input when a feed contradicts the graph. */
export function bindSizes(inputs: readonly Node[], feeds: Readonly<Record<string, TensorData>>): Sizes {
  const sizes = new Map<string, number>();
  for (const { attributes, shape } of inputs) {
    const name = attributes.name ?? '';
    const dims = feeds[name]?.dims;
    if (!dims) throw new Error(`the graph needs the input "${name}"`);
    shape.forEach((dim, axis) => {
      const given = dims[axis];
      const expected = typeof dim === 'number' ? dim : (sizes.get(dim) ?? given);
      if (given === undefined || given !== expected || dims.length !== shape.length)
        throw new RangeError(`the input "${name}" has shape [${dims.join(', ')}], not [${shape.join(', ')}]`);
      if (typeof dim === 'string') sizes.set(dim, given);
    });
  }
  return sizes;
}

/** A size, of which a name such as '3*L' is a multiple. */
function sizeOf(dim: Dim, sizes: Sizes): number {
  if (typeof dim === 'number') return dim;
  const bound = sizes.get(dim);
  if (bound !== undefined) return bound;
  const [factor = '', name = ''] = dim.split('*');
  const size = sizes.get(name);
  if (size === undefined) throw new Error(`no input tells the size "${dim}"`);
  return Number(factor) * size;
}

export const dimsOf = (node: Node, sizes: Sizes): number[] => node.shape.map((dim) => sizeOf(dim, sizes));

/** After which node each one's value is needed no more; those of `kept` are not listed. */
export function lastUses(order: readonly Node[], kept: ReadonlySet<Node>): ReadonlyMap<Node, readonly Node[]> {
  const last = new Map<Node, Node>();
  for (const node of order) {
    last.set(node, node);
    for (const parent of node.inputs) last.set(parent, node);
  }
  const freed = new Map<Node, Node[]>();
  for (const [value, user] of last) if (!kept.has(value)) freed.set(user, [...(freed.get(user) ?? []), value]);
  return freed;
}

const FLOAT_BYTES = 4;

/** Most bytes of values that are alive at once when the nodes are computed in this order. */
export function peakBytes(order: readonly Node[], freed: ReadonlyMap<Node, readonly Node[]>, sizes: Sizes): number {
  const bytesOf = (node: Node): number => dimsOf(node, sizes).reduce((a, b) => a * b, FLOAT_BYTES);
  let alive = 0;
  let peak = 0;
  for (const node of order) {
    alive += bytesOf(node);
    peak = Math.max(peak, alive);
    for (const value of freed.get(node) ?? []) alive -= bytesOf(value);
  }
  return peak;
}
