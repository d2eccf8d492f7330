import type { RopeScaling } from './rope.js';

/** How decoder blocks differ between families. A graph is built from these, never from a family's name. */
export interface BlockSwitches {
  /** `gelu-tanh` is GELU by its tanh approximation (transformers' `gelu_pytorch_tanh`). */
  readonly activation: 'silu' | 'gelu-tanh';
  /** Biases of q_proj, k_proj and v_proj; of o_proj; of the three linear layers of the MLP. */
  readonly queryKeyValueBias: boolean;
  readonly outputBias: boolean;
  readonly mlpBias: boolean;
  /** RMS norms over each head of queries and of keys, before they are rotated. */
  readonly queryKeyNorms: boolean;
  /** Norms also after attention and after the MLP, before their results are added to the hidden states. */
  readonly sandwichNorms: boolean;
  /** What is added to the stored weight of every norm. */
  readonly normWeightOffset: 0 | 1;
  /** Embeddings are multiplied by the root of hiddenSize. */
  readonly scaledEmbeddings: boolean;
  /** Attention scores are divided by its root; undefined: headDim. */
  readonly queryPreAttentionScalar?: number;
  /** c of c * tanh(scores / c). */
  readonly attentionSoftCap?: number;
  /** c of c * tanh(logits / c). */
  readonly logitSoftCap?: number;
  /** Positions that a token of a sliding layer sees, its own included. */
  readonly slidingWindow?: number;
  /** Indices of the sliding layers, ascending; the others see all earlier positions. */
  readonly slidingLayers: readonly number[];
  readonly ropeScaling?: RopeScaling;
  /** Base of the rotary angles in sliding layers, which are never scaled; undefined: as in the others. */
  readonly localRopeTheta?: number;
}

/** The blocks of a Llama model without any option. */
export const LLAMA_BLOCKS: BlockSwitches = {
  activation: 'silu',
  queryKeyValueBias: false,
  outputBias: false,
  mlpBias: false,
  queryKeyNorms: false,
  sandwichNorms: false,
  normWeightOffset: 0,
  scaledEmbeddings: false,
  slidingLayers: [],
};
