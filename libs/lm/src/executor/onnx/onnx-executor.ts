import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Node } from '../../graph/node.js';
import type { Executor, Program, TensorData } from '../executor.js';
import { giveBack } from '../give-back.js';
import { providerLack } from './providers.js';
import type { OnnxProvider } from './providers.js';
import { lowerToOnnx } from './lower.js';
import type { LoweredGraph } from './lower.js';

export interface OnnxExecutorOptions {
  /** Threads inside one operation. */
  readonly threads: number;
  /** @default 'cpu' */
  readonly provider?: OnnxProvider;
}

/** Writes graphs as ONNX and runs them with ONNX Runtime. */
export class OnnxExecutor implements Executor {
  readonly name = 'onnx';

  constructor(private readonly options: OnnxExecutorOptions) {}

  /** @throws Error when the provider's library is not there. */
  async load(outputs: Readonly<Record<string, Node>>): Promise<Program> {
    const { threads, provider = 'cpu' } = this.options;
    const lack = providerLack(provider);
    if (lack) throw new Error(`ONNX Runtime cannot compute on ${provider}: ${lack}.`);
    const lowered = lowerToOnnx(outputs);
    const session = await InferenceSession.create(lowered.bytes, {
      executionProviders: [provider],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      // The graph is emitted with its fused operations; optimisers would only merge what is recomputed on purpose.
      graphOptimizationLevel: 'disabled',
      // The arena never gives memory back and rounds up; freed activations should be free.
      enableCpuMemArena: false,
      enableMemPattern: false,
      logSeverityLevel: 3,
      // Threads wait awake for about as long as the next operation takes to come: no longer, as they would take time
      // from whatever else runs on the machine.
      extra: { session: { intra_op: { allow_spinning: '1', spin_duration_us: '50' }, disable_prepacking: '1' } },
    });
    return new OnnxProgram(session, lowered);
  }
}

function toTensor({ data, dims }: TensorData): Tensor {
  if (data instanceof Float32Array) return new Tensor('float32', data, dims);
  return data instanceof Int8Array ? new Tensor('int8', data, dims) : new Tensor('int64', data, dims);
}

class OnnxProgram implements Program {
  private readonly inputNames: readonly string[];
  private readonly outputNames: ReadonlyMap<string, string>;

  constructor(
    private readonly session: InferenceSession,
    { inputs, outputNames }: LoweredGraph,
  ) {
    this.inputNames = inputs.map((node) => node.attributes.name ?? '');
    this.outputNames = outputNames;
  }

  async run(
    feeds: Readonly<Record<string, TensorData>>,
    results: Readonly<Record<string, TensorData>> = {},
  ): Promise<Map<string, TensorData>> {
    const inputs: Record<string, Tensor> = {};
    for (const name of this.inputNames) {
      const feed = feeds[name];
      if (!feed) throw new Error(`the graph needs the input "${name}"`);
      inputs[name] = toTensor(feed);
    }
    const fetches: Record<string, Tensor | null> = {};
    for (const [name, value] of this.outputNames) fetches[value] = results[name] ? toTensor(results[name]) : null;
    const outputs = await this.session.run(inputs, fetches);
    const found = new Map<string, TensorData>();
    for (const [name, value] of this.outputNames) {
      const tensor = outputs[value];
      if (!tensor) throw new Error(`the graph gave no output "${name}"`);
      const [place, data] = [results[name], tensor.data as Float32Array | BigInt64Array];
      // What was put in its place comes as a copy besides.
      if (place) giveBack(data);
      found.set(name, place ?? { data, dims: tensor.dims });
    }
    return found;
  }

  async release(): Promise<void> {
    await this.session.release();
  }
}
