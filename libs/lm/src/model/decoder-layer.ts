import { hasBias } from '@luthier/formats';
import type { ModelConfig } from '@luthier/formats';
import type { Node } from '../graph/node.js';
import * as ops from '../graph/ops.js';
import { attend, attentionInputs } from './attention.js';
import type { SectionInputs } from './attention.js';
import { sectionInput } from './attention-sections.js';
import { activate, norm } from './blocks.js';
import { kindInput } from './layer-kinds.js';
import type { LayerKind } from './layer-kinds.js';
import type { LayerTensors } from './layer-tensors.js';
import { linearShape } from './model-weights.js';
import type { LinearModule } from './model-weights.js';

/** Inputs that all layers of a kind share. N: packed tokens; P: rows of the rotary table. */
export interface LayerInputs {
  readonly positions: Node;
  readonly cosines: Node;
  readonly sines: Node;
  readonly sections: readonly SectionInputs[];
}

export function layerInputs(config: ModelConfig, kind: LayerKind): LayerInputs {
  const table = ['P', config.headDim / 2];
  return {
    positions: ops.input('positions', [1, 'N'], 'feed', 'int64'),
    cosines: ops.input(kindInput(config, kind, 'cosines'), table),
    sines: ops.input(kindInput(config, kind, 'sines'), table),
    sections: attentionInputs(config, (section) => sectionInput(kindInput(config, kind, 'mask'), section)),
  };
}

/** One decoder layer from hidden states x [N, H] to the next ones. */
export function decoderLayer(config: ModelConfig, tensors: LayerTensors, inputs: LayerInputs, x: Node): Node {
  const normed = (value: Node, name: string): Node =>
    norm(config, value, tensors.weight(`${name}.weight`, [config.hiddenSize]));
  const mixed = attention(config, tensors, inputs, normed(x, 'input_layernorm'));
  if (!config.sandwichNorms) {
    const attended = ops.add(x, mixed);
    return ops.add(attended, mlp(config, tensors, normed(attended, 'post_attention_layernorm')));
  }
  const attended = ops.add(x, normed(mixed, 'post_attention_layernorm'));
  const fed = mlp(config, tensors, normed(attended, 'pre_feedforward_layernorm'));
  return ops.add(attended, normed(fed, 'post_feedforward_layernorm'));
}

/** A linear layer with the bias that the family gives it. */
function linear(config: ModelConfig, tensors: LayerTensors, x: Node, module: LinearModule): Node {
  const product = tensors.linear(x, module);
  if (!hasBias(config, module)) return product;
  return ops.add(product, tensors.weight(`${module}.bias`, [linearShape(config, module)[0]]));
}

function mlp(config: ModelConfig, tensors: LayerTensors, x: Node): Node {
  const gate = activate(config, linear(config, tensors, x, 'mlp.gate_proj'));
  return linear(config, tensors, ops.mul(gate, linear(config, tensors, x, 'mlp.up_proj')), 'mlp.down_proj');
}

function attention(config: ModelConfig, tensors: LayerTensors, inputs: LayerInputs, x: Node): Node {
  const { positions, cosines, sines } = inputs;
  const rotated = (part: 'q' | 'k', count: number): Node => {
    const projected = linear(config, tensors, x, `self_attn.${part}_proj`);
    return ops.rope(headNorm(config, tensors, projected, part, count), positions, cosines, sines);
  };
  const projections = {
    queries: rotated('q', config.attentionHeads),
    keys: rotated('k', config.keyValueHeads),
    values: linear(config, tensors, x, 'self_attn.v_proj'),
  };
  return linear(config, tensors, attend(config, projections, inputs.sections), 'self_attn.o_proj');
}

/** The norm of each of `count` heads of queries or keys [N, count * D], where the family has one. */
function headNorm(config: ModelConfig, tensors: LayerTensors, x: Node, part: 'q' | 'k', count: number): Node {
  if (!config.queryKeyNorms) return x;
  const { headDim } = config;
  const heads = ops.reshape(x, ['N', count, headDim]);
  const normed = norm(config, heads, tensors.weight(`self_attn.${part}_norm.weight`, [headDim]));
  return ops.reshape(normed, ['N', count * headDim]);
}
