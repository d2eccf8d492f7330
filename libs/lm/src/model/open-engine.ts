import { openPeftAdapter, openSafetensorsModel, readModelConfig } from '@luthier/formats';
import { OnnxExecutor } from '../executor/onnx/onnx-executor.js';
import { loadWeights, untieWeights } from './load-weights.js';
import { LoraAdapter } from './lora.js';
import { packRows } from './packed-batch.js';
import { TrainingEngine } from './training-engine.js';

export interface OpenEngineOptions {
  readonly modelDir: string;
  /** PEFT folder; without it there is only the base. */
  readonly adapterDir?: string;
  /** @default 1 */
  readonly threads?: number;
}

/** The model of a folder, layer by layer, with an adapter where one is named: to compute what it gives, not to train it. */
export async function openEngine({ modelDir, adapterDir, threads = 1 }: OpenEngineOptions): Promise<TrainingEngine> {
  const config = await readModelConfig(modelDir);
  const weights = await loadWeights(await openSafetensorsModel(modelDir), config);
  const none = { r: 1, loraAlpha: 1, loraDropout: 0, targetModules: ['q_proj'], useRslora: false };
  let adapter = LoraAdapter.create(config, none, 0);
  if (adapterDir !== undefined) {
    const stored = await openPeftAdapter(adapterDir, { beyondLora: true });
    const { rank: r, alpha: loraAlpha, ...form } = stored.config;
    const tensors = new Map<string, { readonly shape: readonly number[]; readonly data: Float32Array }>();
    for (const { name, shape } of stored.weights.tensors.values()) {
      tensors.set(name, { shape, data: await stored.weights.readFloat32(name) });
    }
    adapter = LoraAdapter.restore(config, { ...form, r, loraAlpha, loraDropout: 0 }, tensors);
    untieWeights(weights, adapter.config);
  }
  const executor = new OnnxExecutor({ threads });
  const parts = { config: adapter.config, weights, parameters: adapter };
  return new TrainingEngine({ ...parts, memoryMode: 'layer-recompute', executor });
}

/** Logits [tokens, vocabulary] of what follows each of `tokens`, one row after the other. */
export function logitsAfter(
  engine: TrainingEngine,
  tokens: readonly number[],
  useAdapter: boolean,
): Promise<Float32Array> {
  // A dummy last token makes the true last one a predictor; nothing predicts the first.
  const trained = new Uint8Array(tokens.length + 1).fill(1);
  trained[0] = 0;
  return engine.logits(packRows([{ tokens: Int32Array.from([...tokens, 0]), trained }]), useAdapter);
}
