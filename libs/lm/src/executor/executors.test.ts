import { describe, expect, it } from '@jest/globals';
import { RandomStream } from '@luthier/contracts';
import { LLAMA_BLOCKS } from '@luthier/formats';
import type { ModelConfig } from '@luthier/formats';
import { LoraAdapter } from '../model/lora.js';
import { modelWeights } from '../model/model-weights.js';
import { packRows } from '../model/packed-batch.js';
import { TrainingEngine } from '../model/training-engine.js';
import type { MemoryMode } from '../model/training-engine.js';
import { AdamW } from '../optim/adamw.js';
import { EXECUTORS } from '../testing/executors.js';
import type { Executor } from './executor.js';

const CONFIG: ModelConfig = {
  ...LLAMA_BLOCKS,
  ...{ architecture: 'LlamaForCausalLM', modelType: 'llama', vocabSize: 40, hiddenSize: 24, intermediateSize: 32 },
  ...{ layers: 2, attentionHeads: 6, keyValueHeads: 2, headDim: 4, maxPositionEmbeddings: 64, rmsNormEps: 1e-5 },
  ...{ ropeTheta: 1000, tieWordEmbeddings: true, eosTokenIds: [] },
};
const LORA = { r: 4, loraAlpha: 8, loraDropout: 0, targetModules: 'all-linear', useRslora: false } as const;
const STEPS = 8;

const weights = new Map(
  [...modelWeights(CONFIG)].map(([name, dims]) => {
    const uniform = new RandomStream(5, name).uniform(dims.reduce((a, b) => a * b, 1));
    return [name, { data: uniform.map((u) => (dims.length === 1 ? 0.8 + 0.4 * u : (u - 0.5) * 0.6)), dims }];
  }),
);
const BATCH = packRows(
  [7, 12, 5].map((length, row) => ({
    tokens: Int32Array.from({ length }, (_, i) => new RandomStream(row, 'tokens').pair(i)[0] % CONFIG.vocabSize),
    trained: Uint8Array.from({ length }, (_, i) => (i > 1 ? 1 : 0)),
  })),
);

interface Trained {
  readonly losses: number[];
  /** Of the first step. */
  readonly gradients: Float32Array;
}

async function train(executor: Executor, memoryMode: MemoryMode): Promise<Trained> {
  const adapter = LoraAdapter.create(CONFIG, LORA, 9);
  const engine = new TrainingEngine({ config: CONFIG, weights, parameters: adapter, memoryMode, executor });
  const settings = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 };
  const optimiser = new AdamW(settings, adapter.tensors);
  const losses: number[] = [];
  let first = new Float32Array();
  for (let step = 0; step < STEPS; step += 1) {
    const gradients = new Float32Array(adapter.values.length);
    losses.push(await engine.accumulate(BATCH, gradients));
    if (step === 0) first = gradients.slice();
    optimiser.update(adapter.values, gradients, 1e-2, 1 / BATCH.labels.length);
  }
  await engine.release();
  return { losses, gradients: first };
}

describe.each([['whole-step'], ['layer-recompute']] as const)('a seeded tiny model, %s', (memoryMode) => {
  it('has the same gradients and learns with the same losses on every executor', async () => {
    const runs: Trained[] = [];
    for (const [, create] of EXECUTORS) runs.push(await train(await create(), memoryMode));
    const [first, ...others] = runs;
    if (!first) throw new Error('there is no executor');
    expect(others.length).toBeGreaterThan(0);
    expect(first.losses.at(-1)).toBeLessThan((first.losses[0] ?? 0) * 0.9);
    const largest = Math.max(...first.gradients.map(Math.abs));
    for (const other of others) {
      other.losses.forEach((loss, i) => expect(loss / (first.losses[i] ?? 0)).toBeCloseTo(1, 4));
      const distance = Math.max(...other.gradients.map((value, i) => Math.abs(value - (first.gradients[i] ?? 0))));
      expect(distance / largest).toBeLessThan(1e-4);
    }
  });
});
