import type { Tensor } from '@tensorflow/tfjs-core';
import { topologicalOrder } from '../../graph/node.js';
import type { Node } from '../../graph/node.js';
import type { Executor, Program, TensorData } from '../executor.js';
import { fastestFlavour, loadFlavour } from './flavours.js';
import type { FlavourLoader, LoadedFlavour } from './flavours.js';
import { KERNELS } from './kernels.js';
import { nativeProduct, plainProduct } from './products.js';
import { bindSizes, dimsOf, lastUses, peakBytes } from './sizes.js';

const MIB = 1024 * 1024;
/** The wasm heap ends at 4 GiB, and a backend that has met its end is broken; some of it is working space. */
const WASM_HEAP_BYTES = 3.2 * 1024 * MIB;

export interface TensorFlowExecutorOptions {
  /** @default the installed ones */
  readonly load?: FlavourLoader;
  /** Most bytes of values at once on the wasm backend. @default 3.2 GiB */
  readonly wasmHeapBytes?: number;
}

/** Computes graphs node by node with TensorFlow.js: natively where a binding is installed, else in WebAssembly. */
export class TensorFlowExecutor implements Executor {
  readonly name = 'tensorflow';

  private constructor(
    readonly flavour: LoadedFlavour,
    private readonly heapBytes: number,
  ) {}

  /** @throws Error when no TensorFlow.js can be used, with the reasons. */
  static async create({ load = loadFlavour, wasmHeapBytes = WASM_HEAP_BYTES }: TensorFlowExecutorOptions = {}) {
    const flavour = await fastestFlavour(load);
    return new TensorFlowExecutor(flavour, flavour.name === 'tfjs-wasm' ? wasmHeapBytes : Infinity);
  }

  load(outputs: Readonly<Record<string, Node>>): Promise<Program> {
    return Promise.resolve(new TensorFlowProgram(this.flavour, this.heapBytes, outputs));
  }
}

class TensorFlowProgram implements Program {
  private readonly order: readonly Node[];
  private readonly freed: ReadonlyMap<Node, readonly Node[]>;
  private readonly inputs: readonly Node[];
  /** Of frozen weights, by what they were fed from: they stay where they are computed with. */
  private readonly weights = new Map<string, { readonly data: TensorData['data']; readonly tensor: Tensor }>();

  constructor(
    private readonly flavour: LoadedFlavour,
    private readonly heapBytes: number,
    private readonly outputs: Readonly<Record<string, Node>>,
  ) {
    this.order = topologicalOrder(Object.values(outputs));
    const weights = this.order.filter(({ attributes }) => attributes.role === 'weight');
    const kept = new Set([...Object.values(outputs), ...weights]);
    this.freed = lastUses(this.order, kept);
    this.inputs = this.order.filter(({ op }) => op === 'input');
  }

  async run(
    feeds: Readonly<Record<string, TensorData>>,
    results: Readonly<Record<string, TensorData>> = {},
  ): Promise<Map<string, TensorData>> {
    const { tf, name } = this.flavour;
    const sizes = bindSizes(this.inputs, feeds);
    this.refuseTooLarge(peakBytes(this.order, this.freed, sizes));
    const context = { tf, sizes, product: name === 'tfjs-wasm' ? plainProduct(tf) : nativeProduct(tf) };
    const values = new Map<Node, Tensor>();
    try {
      for (const node of this.order) {
        const parents = node.inputs.map((parent) => valueOf(values, parent));
        const computed = (): Tensor => tf.tidy(() => KERNELS[node.op](context, node, parents));
        values.set(node, node.op === 'input' ? this.fed(node, feeds) : computed());
        for (const value of this.freed.get(node) ?? []) dispose(values, value);
      }
      const found = Object.entries(this.outputs).map(
        ([key, node]) => [key, dataOf(valueOf(values, node), dimsOf(node, sizes), results[key])] as const,
      );
      return new Map(found);
    } finally {
      for (const node of [...values.keys()]) dispose(values, node);
    }
  }

  release(): Promise<void> {
    for (const { tensor } of this.weights.values()) tensor.dispose();
    this.weights.clear();
    return Promise.resolve();
  }

  private refuseTooLarge(bytes: number): void {
    if (bytes <= this.heapBytes) return;
    const [needed, most] = [Math.ceil(bytes / MIB), Math.floor(this.heapBytes / MIB)];
    throw new RangeError(
      `failed to allocate: the step needs about ${needed} MiB, and TensorFlow.js in WebAssembly may take ${most}. ` +
        'Compute layer by layer (memoryMode "layer-recompute"), cut rows shorter, or take the engine "onnx".',
    );
  }

  /** A tensor of its own for whoever asks: frozen weights share their data with the one that is kept. */
  private fed(node: Node, feeds: Readonly<Record<string, TensorData>>): Tensor {
    const { tf } = this.flavour;
    const { name = '', role } = node.attributes;
    const feed = feeds[name];
    if (!feed) throw new Error(`the graph needs the input "${name}"`);
    if (role !== 'weight') return toTensor(this.flavour, feed);
    const kept = this.weights.get(name);
    if (kept?.data === feed.data) return tf.clone(kept.tensor);
    kept?.tensor.dispose();
    const tensor = toTensor(this.flavour, feed);
    this.weights.set(name, { data: feed.data, tensor });
    return tf.clone(tensor);
  }
}

function toTensor({ tf }: LoadedFlavour, { data, dims }: TensorData): Tensor {
  // There are no 64-bit integers; tokens, positions and places are far below 2^31.
  if (data instanceof Float32Array) return tf.tensor(data, [...dims], 'float32');
  // Nor of 8 bits: frozen weights of few bits take as much memory here as others.
  if (data instanceof Int8Array) return tf.tensor(Float32Array.from(data), [...dims], 'float32');
  return tf.tensor(Int32Array.from(data, Number), [...dims], 'int32');
}

function valueOf(values: ReadonlyMap<Node, Tensor>, node: Node): Tensor {
  const found = values.get(node);
  if (!found) throw new Error(`the value of a ${node.op} was freed before its last use`);
  return found;
}

function dispose(values: Map<Node, Tensor>, node: Node): void {
  values.get(node)?.dispose();
  values.delete(node);
}

function dataOf(tensor: Tensor, dims: readonly number[], place: TensorData | undefined): TensorData {
  const found = tensor.dataSync();
  if (tensor.dtype === 'int32') return { data: BigInt64Array.from(found, BigInt), dims };
  if (!(place?.data instanceof Float32Array)) return { data: Float32Array.from(found), dims };
  place.data.set(found);
  return { data: place.data, dims };
}
