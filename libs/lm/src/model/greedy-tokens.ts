import { openPeftAdapter, openSafetensorsModel, readModelConfig } from '@luthier/formats';
import { TrainingEngine } from './training-engine.js';
import { OnnxExecutor } from '../executor/onnx/onnx-executor.js';
import { loadWeights } from './load-weights.js';
import { LoraAdapter } from './lora.js';

export interface GreedyOptions {
  readonly modelDir: string;
  /** PEFT folder; without it the base answers. */
  readonly adapterDir?: string;
  readonly promptTokens: readonly number[];
  readonly maxNewTokens: number;
  /** @default 1 */
  readonly threads?: number;
}

/**
 * Continues a prompt greedily, up to and including an end token. The whole prefix is computed for every token: a
 * reference to check other engines by, not for serving.
 */
export async function greedyTokens({
  modelDir,
  adapterDir,
  promptTokens,
  maxNewTokens,
  threads = 1,
}: GreedyOptions): Promise<number[]> {
  const config = await readModelConfig(modelDir);
  const weights = await loadWeights(await openSafetensorsModel(modelDir), config);
  const none = { r: 1, loraAlpha: 1, loraDropout: 0, targetModules: ['q_proj'], useRslora: false };
  let adapter = LoraAdapter.create(config, none, 0);
  if (adapterDir !== undefined) {
    const stored = await openPeftAdapter(adapterDir, { magnitudes: true });
    const { rank: r, alpha: loraAlpha, targetModules, useRslora, useDora } = stored.config;
    const tensors = new Map<string, { readonly shape: readonly number[]; readonly data: Float32Array }>();
    for (const { name, shape } of stored.weights.tensors.values()) {
      tensors.set(name, { shape, data: await stored.weights.readFloat32(name) });
    }
    adapter = LoraAdapter.restore(config, { r, loraAlpha, loraDropout: 0, targetModules, useRslora, useDora }, tensors);
  }
  const engine = new TrainingEngine({
    config,
    weights,
    parameters: adapter,
    memoryMode: 'layer-recompute',
    executor: new OnnxExecutor({ threads }),
  });
  const produced: number[] = [];
  while (produced.length < maxNewTokens) {
    const token = await engine.nextToken([...promptTokens, ...produced], adapterDir !== undefined);
    produced.push(token);
    if (config.eosTokenIds.includes(token)) break;
  }
  await engine.release();
  return produced;
}
