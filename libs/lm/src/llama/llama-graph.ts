import type { LlamaConfig } from '@luthier/formats';
import type { Node } from '../graph/node.js';
import { grad } from '../graph/grad.js';
import * as ops from '../graph/ops.js';
import { EMBEDDING, FINAL_NORM, headWeight, layerPrefix, linearShape } from './llama-config.js';
import type { LinearModule } from './llama-config.js';

/** What of a LoRA adapter shapes the graph. */
export interface LoraGraph {
  readonly r: number;
  readonly modules: readonly LinearModule[];
  /** Whether inputs of A are multiplied by masks fed as `<module>.dropout`. */
  readonly dropout: boolean;
}

/** Inputs that all layers share. N: packed tokens; P: rows of the rotary table. */
interface Shared {
  readonly positions: Node;
  readonly cosines: Node;
  readonly sines: Node;
  readonly mask: Node;
  readonly scale: Node;
}

function sharedInputs(config: LlamaConfig): Shared {
  return {
    positions: ops.input('positions', [1, 'N'], 'feed', 'int64'),
    cosines: ops.input('cosines', ['P', config.headDim / 2]),
    sines: ops.input('sines', ['P', config.headDim / 2]),
    mask: ops.input('mask', ['N', 'N']),
    scale: ops.input('loraScale', []),
  };
}

/** One decoder layer; `prefix` names its weights, `adapterPrefix` its LoRA tensors. */
class Layer {
  readonly parameters: Node[] = [];

  constructor(
    private readonly config: LlamaConfig,
    private readonly lora: LoraGraph,
    private readonly shared: Shared,
    private readonly prefix: string,
    private readonly adapterPrefix: string,
  ) {}

  build(x: Node): Node {
    const attended = ops.add(x, this.attention(this.norm(x, 'input_layernorm')));
    const h = this.norm(attended, 'post_attention_layernorm');
    const gated = ops.mul(ops.silu(this.linear(h, 'mlp.gate_proj')), this.linear(h, 'mlp.up_proj'));
    return ops.add(attended, this.linear(gated, 'mlp.down_proj'));
  }

  private norm(x: Node, name: string): Node {
    const weight = ops.input(`${this.prefix}${name}.weight`, [this.config.hiddenSize], 'weight');
    return ops.rmsNorm(x, weight, this.config.rmsNormEps);
  }

  /** x W^T + scale (x A^T) B^T. */
  private linear(x: Node, module: LinearModule): Node {
    const [out, inner] = linearShape(this.config, module);
    const weight = ops.input(`${this.prefix}${module}.weight`, [out, inner], 'weight');
    const base = ops.matmul(x, weight, { transB: true });
    if (!this.lora.modules.includes(module)) return base;
    const a = ops.input(`${this.adapterPrefix}${module}.lora_A.weight`, [this.lora.r, inner], 'parameter');
    const b = ops.input(`${this.adapterPrefix}${module}.lora_B.weight`, [out, this.lora.r], 'parameter');
    this.parameters.push(a, b);
    const kept = this.lora.dropout ? ops.mul(x, ops.input(`${this.prefix}${module}.dropout`, ['N', inner])) : x;
    const low = ops.mul(ops.matmul(kept, a, { transB: true }), this.shared.scale);
    return ops.add(base, ops.matmul(low, b, { transB: true }));
  }

  /** Query heads that share a key head are rows of one product, so keys and values are never repeated. */
  private attention(x: Node): Node {
    const { attentionHeads: heads, keyValueHeads, headDim } = this.config;
    const { positions, cosines, sines, mask } = this.shared;
    const group = heads / keyValueHeads;
    const rows = group === 1 ? 'N' : `${group}*N`;
    const rotate = (value: Node): Node => ops.rope(value, positions, cosines, sines);
    const split = (value: Node): Node => ops.transpose(ops.reshape(value, ['N', keyValueHeads, headDim]), [1, 0, 2]);
    const queries = ops.reshape(
      ops.transpose(
        ops.reshape(rotate(this.linear(x, 'self_attn.q_proj')), ['N', keyValueHeads, group, headDim]),
        [1, 2, 0, 3],
      ),
      [keyValueHeads, rows, headDim],
    );
    const keys = split(rotate(this.linear(x, 'self_attn.k_proj')));
    const values = split(this.linear(x, 'self_attn.v_proj'));
    const raw = ops.matmul(ops.scale(queries, 1 / Math.sqrt(headDim)), keys, { transB: true });
    const scores = ops.add(ops.reshape(raw, [keyValueHeads, group, 'N', 'N']), mask);
    const weights = ops.reshape(ops.softmax(scores), [keyValueHeads, rows, 'N']);
    const mixed = ops.reshape(ops.matmul(weights, values), [keyValueHeads, group, 'N', headDim]);
    const joined = ops.reshape(ops.transpose(mixed, [2, 0, 1, 3]), ['N', heads * headDim]);
    return this.linear(joined, 'self_attn.o_proj');
  }
}

/** Logits [S, V] at `rows` of the hidden states x [N, H]. */
function headLogits(config: LlamaConfig, x: Node): Node {
  const picked = ops.gatherRows(x, ops.input('rows', ['S'], 'feed', 'int64'));
  const normed = ops.rmsNorm(picked, ops.input(FINAL_NORM, [config.hiddenSize], 'weight'), config.rmsNormEps);
  const weight = ops.input(headWeight(config), [config.vocabSize, config.hiddenSize], 'weight');
  return ops.matmul(normed, weight, { transB: true });
}

const labelsInput = (): Node => ops.input('labels', ['S', 1], 'feed', 'int64');
const hiddenInput = (config: LlamaConfig, name: string): Node => ops.input(name, ['N', config.hiddenSize]);

/**
 * Forward and backward of the whole model. Feeds: tokens [N], positions, cosines, sines, mask, loraScale, rows [S],
 * labels [S, 1], all weights, all adapter tensors. Outputs: `loss` (summed) and `grad:<adapter tensor>`.
 */
export function wholeStepGraph(config: LlamaConfig, lora: LoraGraph): Record<string, Node> {
  const shared = sharedInputs(config);
  const untied = ops.input(EMBEDDING, [config.vocabSize, config.hiddenSize], 'weight');
  let x = ops.gatherRows(untied, ops.input('tokens', ['N'], 'feed', 'int64'));
  const parameters: Node[] = [];
  for (let index = 0; index < config.layers; index += 1) {
    const prefix = layerPrefix(index);
    const layer = new Layer(config, lora, shared, prefix, `base_model.model.${prefix}`);
    x = layer.build(ops.boundary(x));
    parameters.push(...layer.parameters);
  }
  const loss = ops.sum(ops.crossEntropy(headLogits(config, ops.boundary(x)), labelsInput()), [0]);
  return { loss, ...namedGradients(parameters, grad(loss, parameters)) };
}

function namedGradients(parameters: readonly Node[], gradients: readonly Node[]): Record<string, Node> {
  const entries = parameters.flatMap((node, i) => {
    const gradient = gradients[i];
    return gradient ? [[`grad:${node.attributes.name ?? ''}`, gradient] as const] : [];
  });
  return Object.fromEntries(entries);
}

/** Forward of any one layer: `x` to `y`. Weights and adapter tensors are named within the layer. */
export function layerForwardGraph(config: LlamaConfig, lora: LoraGraph): Record<string, Node> {
  return { y: new Layer(config, lora, sharedInputs(config), '', '').build(hiddenInput(config, 'x')) };
}

/** Recomputes one layer and takes `gy` back: outputs `gx` and `grad:<tensor within the layer>`. */
export function layerBackwardGraph(config: LlamaConfig, lora: LoraGraph): Record<string, Node> {
  const layer = new Layer(config, lora, sharedInputs(config), '', '');
  const x = hiddenInput(config, 'x');
  const y = layer.build(x);
  const [gx, ...gradients] = grad(y, [x, ...layer.parameters], hiddenInput(config, 'gy'));
  if (!gx) throw new Error('no gradient of the layer input');
  return { gx, ...namedGradients(layer.parameters, gradients) };
}

/** Hidden states to summed `loss` and their gradient `gx`. */
export function headGradientGraph(config: LlamaConfig): Record<string, Node> {
  const x = hiddenInput(config, 'x');
  const loss = ops.sum(ops.crossEntropy(headLogits(config, x), labelsInput()), [0]);
  const [gx] = grad(loss, [x]);
  if (!gx) throw new Error('no gradient of the hidden states');
  return { loss, gx };
}

/** Hidden states to `losses` [S] (negative log-likelihoods) and `best` [S] (most likely tokens). */
export function headScoreGraph(config: LlamaConfig): Record<string, Node> {
  const logits = headLogits(config, hiddenInput(config, 'x'));
  return { losses: ops.crossEntropy(logits, labelsInput()), best: ops.argMaxLast(logits) };
}
