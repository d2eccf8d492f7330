import { describe, expect, it } from '@jest/globals';
import { RandomStream } from '@luthier/contracts';
import { LLAMA_BLOCKS } from '@luthier/formats';
import type { ModelConfig } from '@luthier/formats';
import { LoraAdapter } from '../model/lora.js';
import { modelWeights } from '../model/model-weights.js';
import { packRows } from '../model/packed-batch.js';
import { TrainedWeights } from '../model/trained-weights.js';
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
  /** Of the trained tokens, after every step. */
  readonly scores: number[];
  /** Of the first step. */
  readonly gradients: Float32Array;
}

const sum = (values: Float32Array): number => values.reduce((a, b) => a + b, 0);

/** What is trained, beside or among the weights of a model of the given depth. */
const TRAINED = {
  'an adapter': () => ({ weights, parameters: LoraAdapter.create(CONFIG, LORA, 9), config: CONFIG }),
  'all weights of one layer and of what is around it': () => {
    const [config, taken] = [{ ...CONFIG, layers: 1 }, new Map(weights)];
    return { weights: taken, parameters: TrainedWeights.take(config, taken), config };
  },
};

async function train(executor: Executor, memoryMode: MemoryMode, what: keyof typeof TRAINED): Promise<Trained> {
  const parts = TRAINED[what]();
  const { parameters } = parts;
  const engine = new TrainingEngine({ ...parts, memoryMode, executor });
  const settings = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 };
  const optimiser = new AdamW(settings, parameters.tensors);
  const [losses, scores]: [number[], number[]] = [[], []];
  let first = new Float32Array();
  for (let step = 0; step < STEPS; step += 1) {
    const gradients = new Float32Array(parameters.values.length);
    losses.push(await engine.accumulate(BATCH, gradients));
    if (step === 0) first = gradients.slice();
    optimiser.update(parameters.values, gradients, 1e-2, 1 / BATCH.labels.length);
    scores.push(sum((await engine.score(BATCH, true)).losses));
  }
  await engine.release();
  return { losses, scores, gradients: first };
}

const CASES = (['whole-step', 'layer-recompute'] as const).flatMap((memoryMode) =>
  (Object.keys(TRAINED) as (keyof typeof TRAINED)[]).map((what) => [memoryMode, what] as const),
);

describe.each(CASES)('a seeded tiny model, %s, of which %s is trained', (memoryMode, what) => {
  it('has the same gradients and learns with the same losses on every executor', async () => {
    const runs: Trained[] = [];
    for (const [, create] of EXECUTORS) runs.push(await train(await create(), memoryMode, what));
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
    // A step begins where the score before it was taken.
    for (const { losses, scores } of runs)
      scores.slice(0, -1).forEach((score, i) => expect(score / (losses[i + 1] ?? 0)).toBeCloseTo(1, 4));
  });
});
