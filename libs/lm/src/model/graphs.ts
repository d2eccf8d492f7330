import type { ModelConfig } from '@luthier/formats';
import { grad } from '../graph/grad.js';
import type { Node } from '../graph/node.js';
import * as ops from '../graph/ops.js';
import { norm, scaleEmbeddings, softCap } from './blocks.js';
import { decoderLayer, layerInputs } from './decoder-layer.js';
import { LayerTensors, loraScaleInput } from './layer-tensors.js';
import type { TrainedGraph } from './layer-tensors.js';
import { layerKind } from './layer-kinds.js';
import type { LayerKind } from './layer-kinds.js';
import { EMBEDDING, FINAL_NORM, headWeight, layerPrefix } from './model-weights.js';

/** What of a run besides its model and what is trained shapes the graphs of a step. */
export interface StepGraph {
  /** Whether noise [N, H] is added to the embeddings, fed as `noise`. */
  readonly noise: boolean;
  /** Share of each trained token's weight that goes to all tokens alike. */
  readonly labelSmoothing: number;
}

interface BuiltLayer {
  readonly y: Node;
  readonly parameters: readonly Node[];
}

/** A layer whose weights are named after `prefix` and whose adapter tensors after `adapterPrefix`. */
const layerBuilder = (
  config: ModelConfig,
  { lora, quantised }: TrainedGraph,
): ((x: Node, prefix: string, adapterPrefix: string, weightsTrained: boolean, kind?: LayerKind) => BuiltLayer) => {
  const scale = loraScaleInput();
  return (x, prefix, adapterPrefix, weightsTrained, kind = 'full') => {
    const inputs = layerInputs(config, kind);
    const tensors = new LayerTensors({ config, lora, weightsTrained, quantised, scale, prefix, adapterPrefix });
    return { y: decoderLayer(config, tensors, inputs, x), parameters: tensors.parameters };
  };
};

/** Embeddings, last norm and output weights; tied ones are one node, so that its gradient comes from both ends. */
class OuterTensors {
  private readonly nodes = new Map<string, Node>();

  constructor(
    private readonly config: ModelConfig,
    /** Names of those that are trained. */
    private readonly trained: readonly string[],
  ) {}

  get parameters(): Node[] {
    return [...this.nodes].filter(([name]) => this.trained.includes(name)).map(([, node]) => node);
  }

  embedding = (): Node => this.node(EMBEDDING, [this.config.vocabSize, this.config.hiddenSize]);
  finalNorm = (): Node => this.node(FINAL_NORM, [this.config.hiddenSize]);
  head = (): Node => this.node(headWeight(this.config), [this.config.vocabSize, this.config.hiddenSize]);

  private node(name: string, shape: readonly number[]): Node {
    const found = this.nodes.get(name) ?? ops.input(name, shape, this.trained.includes(name) ? 'parameter' : 'weight');
    this.nodes.set(name, found);
    return found;
  }
}

/** Logits [S, V] at `rows` of the hidden states x [N, H]. */
function headLogits(config: ModelConfig, outer: OuterTensors, x: Node): Node {
  const picked = ops.gatherRows(x, ops.input('rows', ['S'], 'feed', 'int64'));
  const normed = norm(config, picked, outer.finalNorm());
  return softCap(ops.matmul(normed, outer.head(), { transB: true }), config.logitSoftCap);
}

const labelsInput = (): Node => ops.input('labels', ['S', 1], 'feed', 'int64');
const hiddenInput = (config: ModelConfig, name: string): Node => ops.input(name, ['N', config.hiddenSize]);

/** Sum over the trained tokens of their loss by their weight, fed as `tokenWeights` [S]. */
function weightedLoss(config: ModelConfig, logits: Node, { labelSmoothing: share }: StepGraph): Node {
  const labels = labelsInput();
  const losses = ops.crossEntropy(logits, labels);
  const weights = ops.input('tokenWeights', ['S']);
  if (share === 0) return ops.sum(ops.mul(losses, weights), [0]);
  // (1 - s) nll + s mean(-log p) = nll + s (logit of the label - mean of the logits): the normalisers are the same.
  const label = ops.reshape(ops.pickLast(logits, labels), ['S']);
  const mean = ops.scale(ops.sum(logits, [1]), 1 / config.vocabSize);
  const smoothed = ops.add(losses, ops.scale(ops.sub(label, mean), share));
  return ops.sum(ops.mul(smoothed, weights), [0]);
}

/**
 * Forward and backward of the whole model. Feeds: tokens [N], what layerInputs names for the kinds of layers there
 * are, loraScale, rows [S], labels [S, 1], tokenWeights [S], all weights, all adapter tensors. Outputs: `loss` (weighted sum) and
 * `grad:<trained tensor>`.
 */
export function wholeStepGraph(config: ModelConfig, trained: TrainedGraph, step: StepGraph): Record<string, Node> {
  const layer = layerBuilder(config, trained);
  const outer = new OuterTensors(config, trained.outer);
  let x = scaleEmbeddings(config, ops.gatherRows(outer.embedding(), ops.input('tokens', ['N'], 'feed', 'int64')));
  if (step.noise) x = ops.add(x, hiddenInput(config, 'noise'));
  const parameters: Node[] = [];
  for (let index = 0; index < config.layers; index += 1) {
    const prefix = layerPrefix(index);
    const trains = index >= trained.firstLayer;
    const built = layer(ops.boundary(x), prefix, `base_model.model.${prefix}`, trains, layerKind(config, index));
    x = built.y;
    parameters.push(...built.parameters);
  }
  const loss = weightedLoss(config, headLogits(config, outer, ops.boundary(x)), step);
  parameters.push(...outer.parameters);
  return { loss, ...namedGradients(parameters, grad(loss, parameters)) };
}

function namedGradients(parameters: readonly Node[], gradients: readonly Node[]): Record<string, Node> {
  const entries = parameters.flatMap((node, i) => {
    const gradient = gradients[i];
    return gradient ? [[`grad:${node.attributes.name ?? ''}`, gradient] as const] : [];
  });
  return Object.fromEntries(entries);
}

/**
 * Forward of any one layer: `x` to `y`. Kinds of layers differ only in what is fed as mask and rotary table. Weights
 * and adapter tensors are named within the layer.
 */
export function layerForwardGraph(config: ModelConfig, trained: TrainedGraph): Record<string, Node> {
  return { y: layerBuilder(config, trained)(hiddenInput(config, 'x'), '', '', trained.firstLayer < config.layers).y };
}

/** Recomputes one layer that is trained and takes `gy` back: outputs `gx` and `grad:<tensor within the layer>`. */
export function layerBackwardGraph(config: ModelConfig, trained: TrainedGraph): Record<string, Node> {
  const x = hiddenInput(config, 'x');
  const { y, parameters } = layerBuilder(config, trained)(x, '', '', trained.firstLayer < config.layers);
  const [gx, ...gradients] = grad(y, [x, ...parameters], hiddenInput(config, 'gy'));
  if (!gx) throw new Error('no gradient of the layer input');
  return { gx, ...namedGradients(parameters, gradients) };
}

/** Hidden states to the weighted `loss`, their gradient `gx`, and `grad:<tensor>` of outer ones that are trained. */
export function headGradientGraph(config: ModelConfig, trained: TrainedGraph, step: StepGraph): Record<string, Node> {
  const x = hiddenInput(config, 'x');
  const outer = new OuterTensors(config, trained.outer);
  const loss = weightedLoss(config, headLogits(config, outer, x), step);
  const { parameters } = outer;
  const [gx, ...gradients] = grad(loss, [x, ...parameters]);
  if (!gx) throw new Error('no gradient of the hidden states');
  return { loss, gx, ...namedGradients(parameters, gradients) };
}

/** Hidden states to `logits` [S, V]. */
export function headLogitsGraph(config: ModelConfig, { outer }: TrainedGraph): Record<string, Node> {
  return { logits: headLogits(config, new OuterTensors(config, outer), hiddenInput(config, 'x')) };
}

/** Hidden states to `losses` [S] (negative log-likelihoods) and `best` [S] (most likely tokens). */
export function headScoreGraph(config: ModelConfig, { outer }: TrainedGraph): Record<string, Node> {
  const logits = headLogits(config, new OuterTensors(config, outer), hiddenInput(config, 'x'));
  return { losses: ops.crossEntropy(logits, labelsInput()), best: ops.argMaxLast(logits) };
}
