import type { ModelConfig } from '@luthier/formats';
import type { Node, Shape } from '../graph/node.js';
import * as ops from '../graph/ops.js';
import { SECTIONS, sectionInput } from './attention-sections.js';
import type { SectionFeed } from './attention-sections.js';
import { softCap } from './blocks.js';

/**
 * Of one section of the packed rows (`attention-sections.ts`). N: packed tokens; R: rows that reach into it; B: their tokens
 * within it; E: all up to its end.
 */
export interface SectionInputs {
  /** Packed tokens [R, B] that look. */
  readonly queries: Node;
  /** Where among them each packed token lies [N]. */
  readonly queryPlaces: Node;
  /** Packed tokens [R, E] that are looked at. */
  readonly keys: Node;
  readonly keyPlaces: Node;
  /** Additive, [B, E] for each query head that shares a key head, one below the other. */
  readonly mask: Node;
}

const groupSize = ({ attentionHeads, keyValueHeads }: ModelConfig): number => attentionHeads / keyValueHeads;
const groupRows = (config: ModelConfig): string => `${groupSize(config)}*B`;

/** `maskName` names the mask of a section. */
export const attentionInputs = (config: ModelConfig, maskName: (section: number) => string): SectionInputs[] =>
  Array.from({ length: SECTIONS }, (_, section) => {
    const [rows, end] = [`R${section}`, `${section + 1}*B`];
    const tokens = (name: SectionFeed, shape: Shape): Node =>
      ops.input(sectionInput(name, section), shape, 'feed', 'int64');
    return {
      queries: tokens('queries', [rows, 'B']),
      queryPlaces: tokens('queryPlaces', ['N']),
      keys: tokens('keys', [rows, end]),
      keyPlaces: tokens('keyPlaces', ['N']),
      mask: ops.input(maskName(section), [groupRows(config), end]),
    };
  });

export interface Projections {
  /** [N, heads * D], rotated. */
  readonly queries: Node;
  /** [N, key heads * D], rotated. */
  readonly keys: Node;
  readonly values: Node;
}

/** Causal attention of each row within itself: [N, heads * D]. */
export const attend = (config: ModelConfig, projections: Projections, sections: readonly SectionInputs[]): Node =>
  sections.map((section) => attendWithin(config, projections, section)).reduce(ops.add);

/**
 * What the tokens of one section see, zeros for the others: [N, heads * D]. Query heads that share a key head are rows of
 * one product, so keys and values are never repeated.
 */
function attendWithin(config: ModelConfig, projections: Projections, section: SectionInputs): Node {
  const { keyValueHeads, headDim } = config;
  const { queries, queryPlaces, keys, keyPlaces, mask } = section;
  const [rows = 1, count = 1] = queries.shape;
  const [, end = 1] = keys.shape;
  const group = groupSize(config);
  const alpha = 1 / Math.sqrt(config.queryPreAttentionScalar ?? headDim);
  const split = (value: Node): Node =>
    ops.transpose(ops.reshape(ops.moveRows(value, keys, keyPlaces), [rows, end, keyValueHeads, headDim]), [0, 2, 1, 3]);
  const asked = ops.moveRows(projections.queries, queries, queryPlaces);
  const heads = ops.transpose(ops.reshape(asked, [rows, count, keyValueHeads, group, headDim]), [0, 2, 3, 1, 4]);
  const grouped = ops.reshape(heads, [rows, keyValueHeads, groupRows(config), headDim]);
  const scores = softCap(
    ops.matmul(grouped, split(projections.keys), { transB: true, alpha }),
    config.attentionSoftCap,
  );
  const mixed = ops.mixValues(ops.add(scores, mask), split(projections.values));
  const answered = ops.transpose(ops.reshape(mixed, [rows, keyValueHeads, group, count, headDim]), [0, 3, 1, 2, 4]);
  const joined = ops.reshape(answered, [rows, count, keyValueHeads * group * headDim]);
  return ops.moveRows(joined, queryPlaces, queries);
}
