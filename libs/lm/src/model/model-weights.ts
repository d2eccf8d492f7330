import { linearShapes } from '@luthier/formats';
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
export function linearShape(config: ModelConfig, module: LinearModule): readonly [number, number] {
  const shape = linearShapes(config).get(module);
  if (!shape) throw new RangeError(`there is no linear layer "${module}"`);
  return shape;
}

export const EMBEDDING = 'model.embed_tokens.weight';
export const FINAL_NORM = 'model.norm.weight';
export const headWeight = (config: ModelConfig): string => (config.tieWordEmbeddings ? EMBEDDING : 'lm_head.weight');
export const layerPrefix = (layer: number): string => `model.layers.${layer}.`;

export { layerTensors as layerWeights, modelTensors as modelWeights } from '@luthier/formats';
