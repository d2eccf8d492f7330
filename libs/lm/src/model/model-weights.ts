import type { ModelConfig } from '@luthier/formats';

export const LINEAR_MODULES = [
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.o_proj',
  'mlp.gate_proj',
  'mlp.up_proj',
  'mlp.down_proj',
] as const;
export type LinearModule = (typeof LINEAR_MODULES)[number];

/** [out, in] of a linear layer's weight. */
export function linearShape(config: ModelConfig, module: LinearModule): [number, number] {
  const queries = config.attentionHeads * config.headDim;
  const keys = config.keyValueHeads * config.headDim;
  switch (module) {
    case 'self_attn.q_proj':
      return [queries, config.hiddenSize];
    case 'self_attn.k_proj':
    case 'self_attn.v_proj':
      return [keys, config.hiddenSize];
    case 'self_attn.o_proj':
      return [config.hiddenSize, queries];
    case 'mlp.gate_proj':
    case 'mlp.up_proj':
      return [config.intermediateSize, config.hiddenSize];
    case 'mlp.down_proj':
      return [config.hiddenSize, config.intermediateSize];
  }
}

export const EMBEDDING = 'model.embed_tokens.weight';
export const FINAL_NORM = 'model.norm.weight';
export const headWeight = (config: ModelConfig): string => (config.tieWordEmbeddings ? EMBEDDING : 'lm_head.weight');
export const layerPrefix = (layer: number): string => `model.layers.${layer}.`;

/** Weights of one layer by their name within the layer, with shapes. */
export function layerWeights(config: ModelConfig): ReadonlyMap<string, readonly number[]> {
  const weights = new Map<string, readonly number[]>([
    ['input_layernorm.weight', [config.hiddenSize]],
    ['post_attention_layernorm.weight', [config.hiddenSize]],
  ]);
  for (const module of LINEAR_MODULES) weights.set(`${module}.weight`, linearShape(config, module));
  return weights;
}

/** All weights of the model, with shapes. */
export function modelWeights(config: ModelConfig): ReadonlyMap<string, readonly number[]> {
  const embedding = [config.vocabSize, config.hiddenSize];
  const weights = new Map<string, readonly number[]>([
    [EMBEDDING, embedding],
    [FINAL_NORM, [config.hiddenSize]],
    [headWeight(config), embedding],
  ]);
  for (let layer = 0; layer < config.layers; layer += 1) {
    for (const [name, shape] of layerWeights(config)) weights.set(layerPrefix(layer) + name, shape);
  }
  return weights;
}
