import { describe, expect, it } from '@jest/globals';
import { RandomStream } from '@luthier/contracts';
import { LLAMA_BLOCKS } from '@luthier/formats';
import type { ModelConfig } from '@luthier/formats';
import { OnnxExecutor } from '../executor/onnx/onnx-executor.js';
import { EXECUTORS } from '../testing/executors.js';
import type { TensorData } from '../executor/executor.js';
import { modelWeights } from './model-weights.js';
import { referenceLoss, tunedNorms } from './reference-model.js';
import { TrainedWeights } from './trained-weights.js';
import { TrainingEngine } from './training-engine.js';
import type { EngineOptions, MemoryMode } from './training-engine.js';
import { LoraAdapter } from './lora.js';
import type { LoraSettings } from './lora.js';
import { untieWeights } from './load-weights.js';
import { microBatches, packRows, rowLength } from './packed-batch.js';
import type { TrainingRow } from './packed-batch.js';

const config = (tieWordEmbeddings: boolean): ModelConfig => ({
  ...LLAMA_BLOCKS,
  architecture: 'LlamaForCausalLM',
  modelType: 'llama',
  vocabSize: 40,
  hiddenSize: 24,
  intermediateSize: 32,
  layers: 2,
  attentionHeads: 6,
  keyValueHeads: 2,
  headDim: 4,
  maxPositionEmbeddings: 64,
  rmsNormEps: 1e-5,
  ropeTheta: 1000,
  tieWordEmbeddings,
  eosTokenIds: [],
});

function randomWeights(of: ModelConfig): Map<string, TensorData> {
  return new Map(
    [...modelWeights(of)].map(([name, dims]) => {
      const uniform = new RandomStream(5, name).uniform(dims.reduce((a, b) => a * b, 1));
      return [name, { data: uniform.map((u) => (dims.length === 1 ? 0.8 + 0.4 * u : (u - 0.5) * 0.6)), dims }];
    }),
  );
}

function randomAdapter(of: ModelConfig, form: Partial<LoraSettings> = {}): LoraAdapter {
  const adapter = LoraAdapter.create(
    of,
    { r: 3, loraAlpha: 5, loraDropout: 0, targetModules: 'all-linear', useRslora: false, ...form },
    9,
  );
  adapter.startFromWeights(randomWeights(of));
  const noise = new RandomStream(6, 'adapter').uniform(adapter.values.length);
  adapter.values.forEach((value, i) => (adapter.values[i] = value + ((noise[i] ?? 0) - 0.5) * 0.4));
  return adapter;
}

function row(seed: number, length: number): TrainingRow {
  const random = new RandomStream(seed, 'row');
  return {
    tokens: Int32Array.from({ length }, (_, i) => random.pair(i)[0] % 40),
    trained: Uint8Array.from({ length }, (_, i) => ((i > 0 && random.pair(i)[1] % 3 > 0) || i === length - 1 ? 1 : 0)),
  };
}
const ROWS = [row(1, 7), row(2, 12), row(3, 2)];

const engineOf = (
  of: ModelConfig,
  parameters: EngineOptions['parameters'],
  memoryMode: MemoryMode,
  rest: Partial<EngineOptions> = {},
): TrainingEngine =>
  new TrainingEngine({
    config: of,
    weights: randomWeights(of),
    parameters,
    memoryMode,
    executor: new OnnxExecutor({ threads: 1 }),
    ...rest,
  });

/** Gradients along random directions, against central differences of the other implementation. */
function expectSlopes(values: Float32Array, gradients: Float32Array, loss: () => number): void {
  for (const seed of [1, 2, 3]) {
    const direction = new RandomStream(seed, 'direction').uniform(gradients.length).map((u) => u - 0.5);
    const start = values.slice();
    const at = (step: number): number => {
      start.forEach((value, i) => (values[i] = value + step * (direction[i] ?? 0)));
      return loss();
    };
    const h = 1e-3;
    const numeric = (at(h) - at(-h)) / (2 * h);
    values.set(start);
    const exact = gradients.reduce((sum, value, i) => sum + value * (direction[i] ?? 0), 0);
    expect(Math.abs(exact - numeric)).toBeLessThan(2e-3 * Math.max(1, Math.abs(numeric)));
  }
}

describe.each([['whole-step'], ['layer-recompute']] as const)('the engine in %s mode', (memoryMode) => {
  it.each([[true], [false]])(
    'agrees with a plain double-precision implementation (tied embeddings: %s)',
    async (tied) => {
      const of = config(tied);
      const adapter = randomAdapter(of);
      const engine = engineOf(of, adapter, memoryMode);
      const gradients = new Float32Array(adapter.values.length);
      const loss = await engine.accumulate(packRows(ROWS), gradients);
      const reference = (): number =>
        ROWS.reduce((sum, item) => sum + referenceLoss(of, randomWeights(of), adapter, item), 0);
      expect(Math.abs(loss - reference()) / loss).toBeLessThan(1e-5);

      expectSlopes(adapter.values, gradients, reference);
      await engine.release();
    },
  );

  it.each([
    ['all weights, tied embeddings', true, undefined],
    ['all weights', false, undefined],
    ['the topmost layer', true, 1],
  ] as const)('gives %s the gradients of that implementation', async (_what, tied, topmost) => {
    const of = config(tied);
    const weights = randomWeights(of);
    const trained = TrainedWeights.take(of, weights, topmost);
    const engine = engineOf(of, trained, memoryMode, { weights });
    const gradients = new Float32Array(trained.values.length);
    const loss = await engine.accumulate(packRows(ROWS), gradients);
    const reference = (): number => ROWS.reduce((sum, item) => sum + referenceLoss(of, weights, undefined, item), 0);
    expect(Math.abs(loss - reference()) / loss).toBeLessThan(1e-5);
    expectSlopes(trained.values, gradients, reference);
    await engine.release();
  });

  it('gives DoRA its outputs, and gradients that leave the norms alone', async () => {
    const of = config(true);
    const adapter = randomAdapter(of, { useDora: true });
    const engine = engineOf(of, adapter, memoryMode);
    const gradients = new Float32Array(adapter.values.length);
    const loss = await engine.accumulate(packRows(ROWS), gradients);
    const norms = tunedNorms(of, randomWeights(of), adapter);
    const reference = (): number =>
      ROWS.reduce((sum, item) => sum + referenceLoss(of, randomWeights(of), adapter, item, norms), 0);
    expect(Math.abs(loss - reference()) / loss).toBeLessThan(1e-5);
    expectSlopes(adapter.values, gradients, reference);
    const base = (await engine.score(packRows(ROWS), false)).losses.reduce((a, b) => a + b, 0);
    const bare = ROWS.reduce((sum, item) => sum + referenceLoss(of, randomWeights(of), undefined, item), 0);
    expect(base).toBeCloseTo(bare, 3);
    await engine.release();
  });

  const BOTH = ['embed_tokens', 'lm_head'] as const;
  it.each(
    EXECUTORS.flatMap(([executor, open]) =>
      (
        [
          ['tied embeddings and head', true, { modulesToSave: BOTH, ensureWeightTying: true }],
          ['embeddings and head', false, { modulesToSave: BOTH }],
          ['embeddings', false, { modulesToSave: ['embed_tokens'] }],
          ['a head with magnitudes', false, { modulesToSave: ['lm_head'], useDora: true }],
          ['embeddings and head that it unties', true, { modulesToSave: BOTH }],
          ['a head that it unties', true, { modulesToSave: ['lm_head'] }],
        ] as const
      ).map(([what, tied, form]) => [what, executor, tied, form, open] as const),
    ),
  )('trains %s whole beside an adapter (%s)', async (_what, _executor, tied, form, open) => {
    const base = config(tied);
    const adapter = randomAdapter(base, form);
    const [of, weights] = [adapter.config, randomWeights(base)];
    untieWeights(weights, of);
    const engine = engineOf(of, adapter, memoryMode, { weights, executor: await open() });
    const gradients = new Float32Array(adapter.values.length);
    const loss = await engine.accumulate(packRows(ROWS), gradients);
    const norms = 'useDora' in form ? tunedNorms(of, weights, adapter) : new Map<string, number[]>();
    const reference = (tuned?: LoraAdapter): number =>
      ROWS.reduce((sum, item) => sum + referenceLoss(of, weights, tuned, item, norms), 0);
    expect(Math.abs(loss - reference(adapter)) / loss).toBeLessThan(1e-5);
    expectSlopes(adapter.values, gradients, () => reference(adapter));
    const scored = async (useAdapter: boolean): Promise<number> =>
      (await engine.score(packRows(ROWS), useAdapter)).losses.reduce((a, b) => a + b, 0);
    expect(await scored(true)).toBeCloseTo(loss, 3);
    expect(await scored(false)).toBeCloseTo(reference(), 3);
    await engine.release();
  });

  it('weighs tokens by their losses, and smooths labels', async () => {
    const of = config(true);
    const adapter = randomAdapter(of);
    const engine = engineOf(of, adapter, memoryMode, { step: { noise: false, labelSmoothing: 0.2 } });
    const gradients = new Float32Array(adapter.values.length);
    const weigh = (losses: Float32Array): Float32Array => losses.map((loss, i) => (i % 2 === 0 ? loss : -0.5));
    let seen: Float32Array = new Float32Array();
    const loss = await engine.accumulate(packRows(ROWS), gradients, {
      tokenWeights: (losses) => (seen = weigh(losses)),
    });
    const weights = [...seen];
    const reference = (): number => {
      let next = 0;
      return ROWS.reduce((sum, item) => {
        const count = item.trained.slice(1).reduce((a, b) => a + b, 0);
        next += count;
        const own = { tokenWeights: weights.slice(next - count, next), labelSmoothing: 0.2 };
        return sum + referenceLoss(of, randomWeights(of), adapter, item, new Map(), own);
      }, 0);
    };
    expect(loss).toBeCloseTo(reference(), 3);
    expectSlopes(adapter.values, gradients, reference);
    await engine.release();
  });

  it('adds noise to the embeddings of a step, not of scores', async () => {
    const of = config(true);
    const adapter = randomAdapter(of);
    const plain = engineOf(of, adapter, memoryMode);
    const noisy = engineOf(of, adapter, memoryMode, { step: { noise: true, labelSmoothing: 0 } });
    const batch = packRows(ROWS);
    const gradients = new Float32Array(adapter.values.length);
    const size = batch.tokens.length * of.hiddenSize;
    const without = await plain.accumulate(batch, gradients);
    expect(await noisy.accumulate(batch, gradients, { noise: new Float32Array(size) })).toBe(without);
    const noise = new RandomStream(3, 'noise').uniform(size);
    expect(Math.abs((await noisy.accumulate(batch, gradients, { noise })) - without)).toBeGreaterThan(1e-2);
    expect((await noisy.score(batch, true)).losses).toEqual((await plain.score(batch, true)).losses);
    await plain.release();
    await noisy.release();
  });

  it('gives packed rows the losses and gradients that they have alone', async () => {
    const of = config(true);
    const adapter = randomAdapter(of);
    const engine = engineOf(of, adapter, memoryMode);
    const [packed, alone] = [new Float32Array(adapter.values.length), new Float32Array(adapter.values.length)];
    const together = await engine.accumulate(packRows(ROWS), packed);
    let sum = 0;
    for (const item of ROWS) sum += await engine.accumulate(packRows([item]), alone);
    expect(Math.abs(together - sum)).toBeLessThan(1e-4);
    const distance = Math.max(...packed.map((value, i) => Math.abs(value - (alone[i] ?? 0))));
    expect(distance).toBeLessThan(1e-5 * Math.max(1, ...packed.map(Math.abs)));
    await engine.release();
  });

  it('takes more tokens than the longest row has positions', async () => {
    const of = config(true);
    const engine = engineOf(of, randomAdapter(of), memoryMode);
    const rows = Array.from({ length: 100 }, (_, i) => row(i, 6));
    const loss = await engine.accumulate(packRows(rows), new Float32Array(randomAdapter(of).values.length));
    const alone = await engine.accumulate(
      packRows(rows.slice(0, 50)),
      new Float32Array(randomAdapter(of).values.length),
    );
    expect(loss).toBeGreaterThan(alone);
    await engine.release();
  });

  it('scores like it trains, and the base alone when the adapter is off', async () => {
    const of = config(true);
    const adapter = randomAdapter(of);
    const engine = engineOf(of, adapter, memoryMode);
    const batch = packRows(ROWS);
    const loss = await engine.accumulate(batch, new Float32Array(adapter.values.length));
    const total = (losses: Float32Array): number => losses.reduce((a, b) => a + b, 0);
    expect(total((await engine.score(batch, true)).losses)).toBeCloseTo(loss, 3);
    const base = (await engine.score(batch, false)).losses;
    adapter.values.fill(0);
    expect([...base]).toEqual([...(await engine.score(batch, true)).losses]);
    await engine.release();
  });
});

describe('micro-batches', () => {
  it('hold every row once, within the budget unless a row alone is longer', () => {
    const rows = [5, 30, 7, 100, 12, 9].map((length, i) => row(i, length));
    const batches = microBatches(rows, 40, rowLength);
    expect(new Set(batches.flat())).toEqual(new Set(rows));
    for (const batch of batches) {
      const tokens = batch.reduce((sum, item) => sum + item.tokens.length, 0);
      expect(tokens <= 40 || batch.length === 1).toBe(true);
    }
  });

  it('refuse a batch in which nothing is trained', () => {
    expect(() => packRows([{ tokens: Int32Array.of(1, 2), trained: Uint8Array.of(1, 0) }])).toThrow(RangeError);
  });
});
