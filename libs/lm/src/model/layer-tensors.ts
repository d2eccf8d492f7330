import type { ModelConfig } from '@luthier/formats';
import type { Node } from '../graph/node.js';
import * as ops from '../graph/ops.js';
import { linearShape } from './model-weights.js';
import type { LinearModule } from './model-weights.js';

/** What of a LoRA adapter shapes the graph. */
export interface LoraGraph {
  readonly r: number;
  readonly modules: readonly LinearModule[];
  /** Whether inputs of A are multiplied by masks fed as `<module>.dropout`. */
  readonly dropout: boolean;
}

/** The factor of B A x, fed so that one graph computes with and without the adapter. */
export const loraScaleInput = (): Node => ops.input('loraScale', []);

export interface LayerTensorsOptions {
  readonly config: ModelConfig;
  readonly lora: LoraGraph;
  readonly scale: Node;
  /** Before the names of the layer's weights. */
  readonly prefix: string;
  /** Before the names of the layer's adapter tensors. */
  readonly adapterPrefix: string;
}

/** How the tensors of one layer enter the graph: frozen, or with an adapter beside them. */
export class LayerTensors {
  /** What is trained, in the order of the layer's computation. */
  readonly parameters: Node[] = [];

  constructor(private readonly options: LayerTensorsOptions) {}

  /** A tensor that is not the weight of a linear layer. */
  weight(name: string, shape: readonly number[]): Node {
    return ops.input(`${this.options.prefix}${name}`, shape, 'weight');
  }

  /** x W^T + scale (x A^T) B^T, x being [N, in]: [N, out]. */
  linear(x: Node, module: LinearModule): Node {
    const { config, lora, scale, prefix, adapterPrefix } = this.options;
    const [out, inner] = linearShape(config, module);
    const base = ops.matmul(x, this.weight(`${module}.weight`, [out, inner]), { transB: true });
    if (!lora.modules.includes(module)) return base;
    const a = ops.input(`${adapterPrefix}${module}.lora_A.weight`, [lora.r, inner], 'parameter');
    const b = ops.input(`${adapterPrefix}${module}.lora_B.weight`, [out, lora.r], 'parameter');
    this.parameters.push(a, b);
    const kept = lora.dropout ? ops.mul(x, ops.input(`${prefix}${module}.dropout`, ['N', inner])) : x;
    const low = ops.mul(ops.matmul(kept, a, { transB: true }), scale);
    return ops.add(base, ops.matmul(low, b, { transB: true }));
  }
}
