import type { ModelConfig } from './model-config.js';

/** [out, in] of the linear layers of a block, by their name within it, in the order of its computation. */
export function linearShapes(config: ModelConfig): ReadonlyMap<string, readonly [number, number]> {
  const { hiddenSize, intermediateSize, headDim } = config;
  const queries = config.attentionHeads * headDim;
  const keys = config.keyValueHeads * headDim;
  return new Map<string, readonly [number, number]>([
    ['self_attn.q_proj', [queries, hiddenSize]],
    ['self_attn.k_proj', [keys, hiddenSize]],
    ['self_attn.v_proj', [keys, hiddenSize]],
    ['self_attn.o_proj', [hiddenSize, queries]],
    ['mlp.gate_proj', [intermediateSize, hiddenSize]],
    ['mlp.up_proj', [intermediateSize, hiddenSize]],
    ['mlp.down_proj', [hiddenSize, intermediateSize]],
  ]);
}

/** Whether a linear layer of a block has a bias. */
export function hasBias(config: ModelConfig, module: string): boolean {
  if (module.startsWith('mlp.')) return config.mlpBias;
  return module === 'self_attn.o_proj' ? config.outputBias : config.queryKeyValueBias;
}

/** Names and sizes of the norms of a block. */
function norms(config: ModelConfig): [string, number][] {
  const { hiddenSize, headDim } = config;
  const names = ['input_layernorm', 'post_attention_layernorm'];
  if (config.sandwichNorms) names.push('pre_feedforward_layernorm', 'post_feedforward_layernorm');
  const perHead = config.queryKeyNorms ? ['self_attn.q_norm', 'self_attn.k_norm'] : [];
  return [
    ...names.map((name): [string, number] => [name, hiddenSize]),
    ...perHead.map((name): [string, number] => [name, headDim]),
  ];
}

/** Tensors of one block by their name within it, with shapes. */
export function layerTensors(config: ModelConfig): Map<string, readonly number[]> {
  const tensors = new Map<string, readonly number[]>();
  for (const [name, size] of norms(config)) tensors.set(`${name}.weight`, [size]);
  for (const [module, shape] of linearShapes(config)) {
    tensors.set(`${module}.weight`, shape);
    if (hasBias(config, module)) tensors.set(`${module}.bias`, [shape[0]]);
  }
  return tensors;
}

/** All tensors that a model of this configuration has, by their Hugging Face names, with shapes:
 * those outside of layers first. */
export function modelTensors(config: ModelConfig): Map<string, readonly number[]> {
  const { hiddenSize, vocabSize } = config;
  const tensors = new Map<string, readonly number[]>([
    ['model.embed_tokens.weight', [vocabSize, hiddenSize]],
    ['model.norm.weight', [hiddenSize]],
  ]);
  if (!config.tieWordEmbeddings) tensors.set('lm_head.weight', [vocabSize, hiddenSize]);
  const perLayer = layerTensors(config);
  for (let layer = 0; layer < config.layers; layer += 1)
    for (const [name, shape] of perLayer) tensors.set(`model.layers.${layer}.${name}`, shape);
  return tensors;
}
