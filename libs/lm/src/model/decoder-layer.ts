import type { ModelConfig } from '@luthier/formats';
import type { Node } from '../graph/node.js';
import * as ops from '../graph/ops.js';
import type { LayerTensors } from './layer-tensors.js';

/** Inputs that all layers share. N: packed tokens; P: rows of the rotary table. */
export interface LayerInputs {
  readonly positions: Node;
  readonly cosines: Node;
  readonly sines: Node;
  readonly mask: Node;
}

export const layerInputs = (config: ModelConfig): LayerInputs => ({
  positions: ops.input('positions', [1, 'N'], 'feed', 'int64'),
  cosines: ops.input('cosines', ['P', config.headDim / 2]),
  sines: ops.input('sines', ['P', config.headDim / 2]),
  mask: ops.input('mask', ['N', 'N']),
});

/** One decoder layer from hidden states x [N, H] to the next ones. */
export function decoderLayer(config: ModelConfig, tensors: LayerTensors, inputs: LayerInputs, x: Node): Node {
  const norm = (value: Node, name: string): Node =>
    ops.rmsNorm(value, tensors.weight(`${name}.weight`, [config.hiddenSize]), config.rmsNormEps);
  const attended = ops.add(x, attention(config, tensors, inputs, norm(x, 'input_layernorm')));
  const h = norm(attended, 'post_attention_layernorm');
  const gated = ops.mul(ops.silu(tensors.linear(h, 'mlp.gate_proj')), tensors.linear(h, 'mlp.up_proj'));
  return ops.add(attended, tensors.linear(gated, 'mlp.down_proj'));
}

/** Query heads that share a key head are rows of one product, so keys and values are never repeated. */
function attention(config: ModelConfig, tensors: LayerTensors, inputs: LayerInputs, x: Node): Node {
  const { attentionHeads: heads, keyValueHeads, headDim } = config;
  const { positions, cosines, sines, mask } = inputs;
  const group = heads / keyValueHeads;
  const rows = group === 1 ? 'N' : `${group}*N`;
  const rotate = (value: Node): Node => ops.rope(value, positions, cosines, sines);
  const split = (value: Node): Node => ops.transpose(ops.reshape(value, ['N', keyValueHeads, headDim]), [1, 0, 2]);
  const queries = ops.reshape(
    ops.transpose(
      ops.reshape(rotate(tensors.linear(x, 'self_attn.q_proj')), ['N', keyValueHeads, group, headDim]),
      [1, 2, 0, 3],
    ),
    [keyValueHeads, rows, headDim],
  );
  const keys = split(rotate(tensors.linear(x, 'self_attn.k_proj')));
  const values = split(tensors.linear(x, 'self_attn.v_proj'));
  const raw = ops.matmul(ops.scale(queries, 1 / Math.sqrt(headDim)), keys, { transB: true });
  const scores = ops.add(ops.reshape(raw, [keyValueHeads, group, 'N', 'N']), mask);
  const weights = ops.reshape(ops.softmax(scores), [keyValueHeads, rows, 'N']);
  const mixed = ops.reshape(ops.matmul(weights, values), [keyValueHeads, group, 'N', headDim]);
  const joined = ops.reshape(ops.transpose(mixed, [2, 0, 1, 3]), ['N', heads * headDim]);
  return tensors.linear(joined, 'self_attn.o_proj');
}
