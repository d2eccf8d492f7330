import type { ModelConfig } from '@luthier/formats';
import type { Node } from '../graph/node.js';
import { grad } from '../graph/grad.js';
import * as ops from '../graph/ops.js';
import { norm, scaleEmbeddings, softCap } from './blocks.js';
import { decoderLayer, layerInputs } from './decoder-layer.js';
import { LayerTensors, loraScaleInput } from './layer-tensors.js';
import type { LoraGraph } from './layer-tensors.js';
import { layerKind } from './layer-kinds.js';
import type { LayerKind } from './layer-kinds.js';
import { EMBEDDING, FINAL_NORM, headWeight, layerPrefix } from './model-weights.js';

interface BuiltLayer {
  readonly y: Node;
  readonly parameters: readonly Node[];
}

/** A layer whose weights are named after `prefix` and whose adapter tensors after `adapterPrefix`. */
const layerBuilder = (
  config: ModelConfig,
  lora: LoraGraph,
): ((x: Node, prefix: string, adapterPrefix: string, kind?: LayerKind) => BuiltLayer) => {
  const scale = loraScaleInput();
  return (x, prefix, adapterPrefix, kind = 'full') => {
    const inputs = layerInputs(config, kind);
    const tensors = new LayerTensors({ config, lora, scale, prefix, adapterPrefix });
    return { y: decoderLayer(config, tensors, inputs, x), parameters: tensors.parameters };
  };
};

/** Logits [S, V] at `rows` of the hidden states x [N, H]. */
function headLogits(config: ModelConfig, x: Node): Node {
  const picked = ops.gatherRows(x, ops.input('rows', ['S'], 'feed', 'int64'));
  const normed = norm(config, picked, ops.input(FINAL_NORM, [config.hiddenSize], 'weight'));
  const weight = ops.input(headWeight(config), [config.vocabSize, config.hiddenSize], 'weight');
  return softCap(ops.matmul(normed, weight, { transB: true }), config.logitSoftCap);
}

const labelsInput = (): Node => ops.input('labels', ['S', 1], 'feed', 'int64');
const hiddenInput = (config: ModelConfig, name: string): Node => ops.input(name, ['N', config.hiddenSize]);

/**
 * Forward and backward of the whole model. Feeds: tokens [N], what layerInputs names for the kinds of layers there
 * are, loraScale, rows [S], labels [S, 1], all weights, all adapter tensors. Outputs: `loss` (summed) and `grad:<adapter tensor>`.
 */
export function wholeStepGraph(config: ModelConfig, lora: LoraGraph): Record<string, Node> {
  const layer = layerBuilder(config, lora);
  const untied = ops.input(EMBEDDING, [config.vocabSize, config.hiddenSize], 'weight');
  let x = scaleEmbeddings(config, ops.gatherRows(untied, ops.input('tokens', ['N'], 'feed', 'int64')));
  const parameters: Node[] = [];
  for (let index = 0; index < config.layers; index += 1) {
    const prefix = layerPrefix(index);
    const built = layer(ops.boundary(x), prefix, `base_model.model.${prefix}`, layerKind(config, index));
    x = built.y;
    parameters.push(...built.parameters);
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

/** Forward of any one layer: `x` to `y`. Kinds of layers differ only in what is fed as mask and rotary table. Weights and adapter tensors are named within the layer. */
export function layerForwardGraph(config: ModelConfig, lora: LoraGraph): Record<string, Node> {
  return { y: layerBuilder(config, lora)(hiddenInput(config, 'x'), '', '').y };
}

/** Recomputes one layer and takes `gy` back: outputs `gx` and `grad:<tensor within the layer>`. */
export function layerBackwardGraph(config: ModelConfig, lora: LoraGraph): Record<string, Node> {
  const x = hiddenInput(config, 'x');
  const { y, parameters } = layerBuilder(config, lora)(x, '', '');
  const [gx, ...gradients] = grad(y, [x, ...parameters], hiddenInput(config, 'gy'));
  if (!gx) throw new Error('no gradient of the layer input');
  return { gx, ...namedGradients(parameters, gradients) };
}

/** Hidden states to summed `loss` and their gradient `gx`. */
export function headGradientGraph(config: ModelConfig): Record<string, Node> {
  const x = hiddenInput(config, 'x');
  const loss = ops.sum(ops.crossEntropy(headLogits(config, x), labelsInput()), [0]);
  const [gx] = grad(loss, [x]);
  if (!gx) throw new Error('no gradient of the hidden states');
  return { loss, gx };
}

/** Hidden states to `logits` [S, V]. */
export function headLogitsGraph(config: ModelConfig): Record<string, Node> {
  return { logits: headLogits(config, hiddenInput(config, 'x')) };
}

/** Hidden states to `losses` [S] (negative log-likelihoods) and `best` [S] (most likely tokens). */
export function headScoreGraph(config: ModelConfig): Record<string, Node> {
  const logits = headLogits(config, hiddenInput(config, 'x'));
  return { losses: ops.crossEntropy(logits, labelsInput()), best: ops.argMaxLast(logits) };
}
