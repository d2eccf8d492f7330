import type { ModelConfig } from '@luthier/formats';
import type { Node } from '../graph/node.js';
import * as ops from '../graph/ops.js';
import { linearShape } from './model-weights.js';
import type { LinearModule } from './model-weights.js';
import { scalesOf } from './quantise.js';

/** What of a LoRA adapter shapes the graph. */
interface LoraGraph {
  readonly r: number;
  readonly modules: readonly LinearModule[];
  /** Whether inputs of A are multiplied by masks fed as `<module>.dropout`. */
  readonly dropout: boolean;
  /** Whether outputs have magnitudes of their own (DoRA); the squared norms of the weights' rows are fed then. */
  readonly dora: boolean;
}

/** What of a model is trained, as far as it shapes graphs. */
export interface TrainedGraph {
  readonly lora?: LoraGraph;
  /** From this layer on the weights themselves are trained; the number of layers: none. */
  readonly firstLayer: number;
  /** Which of embeddings, last norm and output weights are trained, by the model's names. */
  readonly outer: readonly string[];
  /** Whether the frozen weights of linear layers are 8-bit integers, fed with the scales of their rows. */
  readonly quantised: boolean;
}

/** The factor of B A x, fed so that one graph computes with and without the adapter. */
export const loraScaleInput = (): Node => ops.input('loraScale', []);

export interface LayerTensorsOptions {
  readonly config: ModelConfig;
  readonly lora: LoraGraph | undefined;
  /** Whether the layer's own weights are trained. */
  readonly weightsTrained: boolean;
  readonly quantised: boolean;
  readonly scale: Node;
  /** Before the names of the layer's weights. */
  readonly prefix: string;
  /** Before the names of the layer's adapter tensors. */
  readonly adapterPrefix: string;
}

/** How the tensors of one layer enter the graph: frozen, trained themselves, or with an adapter beside them. */
export class LayerTensors {
  /** What is trained, in the order of the layer's computation. */
  readonly parameters: Node[] = [];

  constructor(private readonly options: LayerTensorsOptions) {}

  /** A weight by its name within the layer. */
  weight(name: string, shape: readonly number[]): Node {
    const { prefix, weightsTrained } = this.options;
    const node = ops.input(`${prefix}${name}`, shape, weightsTrained ? 'parameter' : 'weight');
    if (weightsTrained) this.parameters.push(node);
    return node;
  }

  /** x W^T + scale (x A^T) B^T, x being [N, in]: [N, out]; with DoRA by the magnitudes of its outputs. */
  linear(x: Node, module: LinearModule): Node {
    const { config, lora, scale, prefix } = this.options;
    const [out, inner] = linearShape(config, module);
    const weight = this.linearWeight(module, [out, inner]);
    const base = ops.matmul(x, weight, { transB: true });
    if (!lora?.modules.includes(module)) return base;
    const a = this.adapterTensor(`${module}.lora_A.weight`, [lora.r, inner]);
    const b = this.adapterTensor(`${module}.lora_B.weight`, [out, lora.r]);
    const kept = lora.dropout ? ops.mul(x, ops.input(`${prefix}${module}.dropout`, ['N', inner])) : x;
    const low = ops.matmul(ops.mul(ops.matmul(kept, a, { transB: true }), scale), b, { transB: true });
    if (!lora.dora) return ops.add(base, low);
    const magnitude = this.adapterTensor(`${module}.lora_magnitude_vector`, [out]);
    const share = ops.div(magnitude, this.tunedNorm(module, weight, a, b));
    if (!lora.dropout) return ops.mul(ops.add(base, low), share);
    // As PEFT: what the magnitude changes sees the inputs that were kept, the weight itself sees all.
    const change = ops.mul(ops.matmul(kept, weight, { transB: true }), ops.sub(share, ops.constant(1)));
    return ops.add(base, ops.add(change, ops.mul(low, share)));
  }

  private linearWeight(module: LinearModule, shape: [number, number]): Node {
    const { prefix, quantised } = this.options;
    if (!quantised) return this.weight(`${module}.weight`, shape);
    const values = ops.input(`${prefix}${module}.weight`, shape, 'weight', 'int8');
    return ops.dequantise(values, ops.input(scalesOf(`${prefix}${module}.weight`), [shape[0]], 'weight'));
  }

  private adapterTensor(name: string, shape: readonly number[]): Node {
    const node = ops.input(`${this.options.adapterPrefix}${name}`, shape, 'parameter');
    this.parameters.push(node);
    return node;
  }

  /**
   * Norms [out] of the rows of W + s B A, through which no gradient flows (Liu et al. 2024, 4.3). Row i has the squared
   * norm |W_i|^2 + B_i (2 s W A^T + s^2 B A A^T)_i, for which no second matrix of W's size is needed.
   */
  private tunedNorm(module: LinearModule, weight: Node, a: Node, b: Node): Node {
    const { config, scale, prefix } = this.options;
    const squares = ops.input(`${prefix}${module}.weight_squares`, [linearShape(config, module)[0]]);
    const crossed = ops.mul(ops.matmul(weight, a, { transB: true }), ops.scale(scale, 2));
    const own = ops.mul(ops.matmul(b, ops.matmul(a, a, { transB: true })), ops.mul(scale, scale));
    const added = ops.sum(ops.mul(b, ops.add(crossed, own)), [1]);
    return ops.detach(ops.sqrt(ops.add(squares, added)));
  }
}
