import type { ModelConfig } from '@luthier/formats';
import type { Node } from '../graph/node.js';
import * as ops from '../graph/ops.js';
import { softCap } from './blocks.js';

/** Of the packed rows. N: packed tokens; R: rows; L: tokens of the longest one. */
export interface AttentionInputs {
  /** Where each token lies in the grid [R, L]. */
  readonly places: Node;
  /** Its shape is that of the grid. */
  readonly grid: Node;
  /** Additive, [L, L]. */
  readonly mask: Node;
}

export const attentionInputs = (maskName: string): AttentionInputs => ({
  places: ops.input('places', ['N'], 'feed', 'int64'),
  grid: ops.input('grid', ['R', 'L']),
  mask: ops.input(maskName, ['L', 'L']),
});

export interface Projections {
  /** [N, heads * D], rotated. */
  readonly queries: Node;
  /** [N, key heads * D], rotated. */
  readonly keys: Node;
  readonly values: Node;
}

/**
 * Causal attention of each row within itself: [N, heads * D]. Rows are padded to the longest one for it alone, since a
 * product over the whole pack would compute the square of all tokens. Query heads that share a key head are rows of one
 * product, so keys and values are never repeated.
 */
export function attend(config: ModelConfig, projections: Projections, inputs: AttentionInputs): Node {
  const { attentionHeads: heads, keyValueHeads, headDim } = config;
  const { places, grid, mask } = inputs;
  const group = heads / keyValueHeads;
  const rows = group === 1 ? 'L' : `${group}*L`;
  const unpack = (value: Node, shape: readonly (number | string)[], perm: readonly number[]): Node =>
    ops.transpose(ops.reshape(ops.unpackRows(value, places, grid), ['R', 'L', ...shape]), perm);
  const split = (value: Node): Node => unpack(value, [keyValueHeads, headDim], [0, 2, 1, 3]);
  const queries = ops.reshape(unpack(projections.queries, [keyValueHeads, group, headDim], [0, 2, 3, 1, 4]), [
    'R',
    keyValueHeads,
    rows,
    headDim,
  ]);
  const raw = ops.matmul(queries, split(projections.keys), {
    transB: true,
    alpha: 1 / Math.sqrt(config.queryPreAttentionScalar ?? headDim),
  });
  const capped = softCap(ops.reshape(raw, ['R', keyValueHeads, group, 'L', 'L']), config.attentionSoftCap);
  const scores = ops.add(capped, mask);
  const mixed = ops.mixValues(ops.reshape(scores, ['R', keyValueHeads, rows, 'L']), split(projections.values));
  const joined = ops.transpose(ops.reshape(mixed, ['R', keyValueHeads, group, 'L', headDim]), [0, 3, 1, 2, 4]);
  return ops.packRows(ops.reshape(joined, ['R', 'L', heads * headDim]), places, grid);
}
