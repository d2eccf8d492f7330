import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { RandomStream } from '@luthier/contracts';
import { LLAMA_BLOCKS, modelTensors } from '@luthier/formats';
import type { ModelConfig, RopeScaling } from '@luthier/formats';
import type { TensorData } from '../executor/executor.js';
import { OnnxExecutor } from '../executor/onnx/onnx-executor.js';
import { LoraAdapter } from './lora.js';
import { packRows } from './packed-batch.js';
import type { TrainingRow } from './packed-batch.js';
import { TrainingEngine } from './training-engine.js';
import type { MemoryMode } from './training-engine.js';
import { TrainedWeights } from './trained-weights.js';

/** Few and odd sizes: one head, one group, one layer, a vocabulary that nothing divides. */
const sizes = fc.record({
  keyValueHeads: fc.integer({ min: 1, max: 3 }),
  group: fc.integer({ min: 1, max: 3 }),
  headDim: fc.constantFrom(2, 4, 6),
  hiddenSize: fc.integer({ min: 3, max: 17 }),
  intermediateSize: fc.integer({ min: 1, max: 13 }),
  vocabSize: fc.integer({ min: 3, max: 30 }).map((n) => 2 * n + 1),
  layers: fc.integer({ min: 1, max: 3 }),
});
const scaling: fc.Arbitrary<RopeScaling> = fc.constantFrom<RopeScaling>(
  { type: 'linear', factor: 3 },
  { type: 'llama3', factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaxPositions: 16 },
);
/** Switches in any mixture, also in those that no family has. */
const switches = fc.record(
  {
    activation: fc.constantFrom('silu' as const, 'gelu-tanh' as const),
    queryKeyValueBias: fc.boolean(),
    outputBias: fc.boolean(),
    mlpBias: fc.boolean(),
    queryKeyNorms: fc.boolean(),
    sandwichNorms: fc.boolean(),
    normWeightOffset: fc.constantFrom(0 as const, 1 as const),
    scaledEmbeddings: fc.boolean(),
    tieWordEmbeddings: fc.boolean(),
    queryPreAttentionScalar: fc.integer({ min: 1, max: 9 }),
    attentionSoftCap: fc.constantFrom(1, 3),
    logitSoftCap: fc.constantFrom(2, 5),
    slidingWindow: fc.integer({ min: 1, max: 4 }),
    slidingLayers: fc.subarray([0, 1, 2]),
    localRopeTheta: fc.constantFrom(20, 300),
    ropeScaling: scaling,
  },
  { requiredKeys: ['slidingWindow', 'slidingLayers', 'tieWordEmbeddings'] },
);
const configs: fc.Arbitrary<ModelConfig> = fc.tuple(sizes, switches).map(([{ group, ...size }, blocks]) => ({
  ...LLAMA_BLOCKS,
  ...{ architecture: '', modelType: '', maxPositionEmbeddings: 64, rmsNormEps: 1e-2, ropeTheta: 100, eosTokenIds: [] },
  ...{ ...size, attentionHeads: size.keyValueHeads * group },
  ...blocks,
  slidingLayers: blocks.slidingLayers.filter((layer) => layer < size.layers),
}));
/** A row that trains something, alone or with others, of which some are a single token. */
const lengths = fc.tuple(fc.integer({ min: 2, max: 8 }), fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 2 }));

const numbers = (name: string, count: number): Float32Array => new RandomStream(3, name).uniform(count);

function randomWeights(config: ModelConfig): Map<string, TensorData> {
  return new Map(
    [...modelTensors(config)].map(([name, dims]) => {
      const uniform = numbers(
        name,
        dims.reduce((a, b) => a * b, 1),
      );
      return [name, { data: uniform.map((u) => (dims.length === 1 ? 0.8 + 0.4 * u : (u - 0.5) * 0.9)), dims }];
    }),
  );
}

function randomAdapter(config: ModelConfig): LoraAdapter {
  const settings = { r: 2, loraAlpha: 3, loraDropout: 0, targetModules: 'all-linear', useRslora: false } as const;
  const adapter = LoraAdapter.create(config, settings, 1);
  const start = numbers('adapter', adapter.values.length);
  adapter.values.set(start.map((u) => (u - 0.5) * 0.8));
  return adapter;
}

const rowOf = (config: ModelConfig, length: number, index: number): TrainingRow => ({
  tokens: Int32Array.from(numbers(`row ${index}`, length), (u) => Math.floor(u * config.vocabSize)),
  trained: new Uint8Array(length).fill(1),
});

interface Found {
  readonly loss: number;
  readonly gradients: Float32Array;
}

const greatest = (values: Float32Array): number => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

function expectSame(found: Found, expected: Found): void {
  expect(Math.abs(found.loss - expected.loss)).toBeLessThan(1e-4 * Math.max(1, expected.loss));
  const distance = greatest(found.gradients.map((value, i) => value - (expected.gradients[i] ?? 0)));
  expect(distance).toBeLessThan(1e-4 * Math.max(1, greatest(expected.gradients)));
}

type Lengths = readonly [number, readonly number[]];

async function check(config: ModelConfig, [first, others]: Lengths, trainsWeights: boolean): Promise<void> {
  const rows = [first, ...others].map((length, i) => rowOf(config, length, i));
  const [weights, executor] = [randomWeights(config), new OnnxExecutor({ threads: 1 })];
  const parameters = trainsWeights ? TrainedWeights.take(config, weights) : randomAdapter(config);
  const { values } = parameters;
  const engineOf = (memoryMode: MemoryMode): TrainingEngine =>
    new TrainingEngine({ config, weights, parameters, memoryMode, executor });
  const of = async (engine: TrainingEngine, batches: readonly (readonly TrainingRow[])[]): Promise<Found> => {
    const gradients = new Float32Array(values.length);
    let loss = 0;
    for (const batch of batches) loss += await engine.accumulate(packRows(batch), gradients);
    return { loss, gradients };
  };
  const [whole, layered] = [engineOf('whole-step'), engineOf('layer-recompute')];
  const found = await of(whole, [rows]);
  expectSame(await of(layered, [rows]), found);
  expectSame(
    await of(
      whole,
      rows.filter(({ tokens }) => tokens.length > 1).map((row) => [row]),
    ),
    found,
  );

  // Along a random direction, against differences of scores, which are computed without any gradient.
  const direction = numbers('direction', values.length).map((u) => u - 0.5);
  const start = values.slice();
  const at = async (step: number): Promise<number> => {
    start.forEach((value, i) => (values[i] = value + step * (direction[i] ?? 0)));
    return (await layered.score(packRows(rows), true)).losses.reduce((sum, loss) => sum + loss, 0);
  };
  const exact = found.gradients.reduce((sum, value, i) => sum + value * (direction[i] ?? 0), 0);
  const errors: number[] = [];
  // Norms of small values bend the loss sharply: a step that is too long for some is exact enough for others.
  for (const h of [2e-3, 5e-4]) {
    const numeric = (8 * ((await at(h)) - (await at(-h))) - ((await at(2 * h)) - (await at(-2 * h)))) / (12 * h);
    errors.push(Math.abs(numeric - exact));
  }
  expect(Math.min(...errors)).toBeLessThan(4e-3 * Math.max(1, Math.abs(exact), found.loss));
  await whole.release();
  await layered.release();
}

it('any mixture of blocks, sizes and rows has one loss and one gradient: in both modes, packed or alone, and measured', () =>
  fc.assert(fc.asyncProperty(configs, lengths, fc.boolean(), check), { numRuns: 15, seed: 1 }));
