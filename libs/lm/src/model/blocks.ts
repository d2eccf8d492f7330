import type { ModelConfig } from '@luthier/formats';
import type { Node } from '../graph/node.js';
import * as ops from '../graph/ops.js';

/** RMS norm over the last axis by the stored weight, which some families store less one. */
export function norm(config: ModelConfig, x: Node, weight: Node): Node {
  const factor = config.normWeightOffset === 0 ? weight : ops.add(weight, ops.constant(config.normWeightOffset));
  return ops.rmsNorm(x, factor, config.rmsNormEps);
}

/** cap * tanh(x / cap), which stays between -cap and cap; x itself without a cap. */
export function softCap(x: Node, cap: number | undefined): Node {
  return cap === undefined ? x : ops.scale(ops.tanh(ops.scale(x, 1 / cap)), cap);
}

/** Gate of the MLP. */
export const activate = (config: ModelConfig, x: Node): Node =>
  config.activation === 'silu' ? ops.silu(x) : ops.geluTanh(x);

/** What embeddings are multiplied by before the first layer. */
export const embeddingScale = (config: ModelConfig): number =>
  config.scaledEmbeddings ? Math.sqrt(config.hiddenSize) : 1;

export function scaleEmbeddings(config: ModelConfig, x: Node): Node {
  return config.scaledEmbeddings ? ops.scale(x, embeddingScale(config)) : x;
}
