import { describe, expect, it } from '@jest/globals';
import { RandomStream } from '@luthier/contracts';
import { LLAMA_BLOCKS } from '@luthier/formats';
import type { ModelConfig } from '@luthier/formats';
import fc from 'fast-check';
import { OnnxExecutor } from '../executor/onnx/onnx-executor.js';
import * as ops from '../graph/ops.js';
import { EXECUTORS } from '../testing/executors.js';
import { LoraAdapter } from './lora.js';
import { modelWeights } from './model-weights.js';
import { packRows } from './packed-batch.js';
import { quantiseRows, scalesOf } from './quantise.js';
import { TrainingEngine } from './training-engine.js';
import type { MemoryMode, Weights } from './training-engine.js';

const numbers = (count: number): fc.Arbitrary<number[]> =>
  fc.array(fc.float({ min: -8, max: 8, noNaN: true }), { minLength: count, maxLength: count });

const ZEROS = [0, 0, 0, 0, 0, 0];
/** The smallest float32 above zero. */
const SMALLEST = 2 ** -149;
/** A scale is a float32 itself: among the smallest it is off by half of the smallest, times 127 in the row's largest. */
const ROUNDING_OF_SCALE = 127 * (SMALLEST / 2);

describe('weights of 8 bits', () => {
  it('differ from what they were by half a step at most, whatever the other rows are', () =>
    fc.assert(
      fc.property(fc.tuple(numbers(6), numbers(6)), ([small, large]) => {
        const matrix = Float32Array.from([...small.map((value) => value / 1000), ...large]);
        const { values, scales } = quantiseRows(matrix, 2);
        matrix.forEach((value, i) => {
          const scale = scales[Math.floor(i / 6)] ?? 0;
          const difference = Math.abs((values[i] ?? 0) * scale - value);
          expect(difference).toBeLessThanOrEqual(scale * 0.5001 + ROUNDING_OF_SCALE);
        });
      }),
      { examples: [[[ZEROS, [0, 0, 0, 0, 0, SMALLEST]]], [[ZEROS, [0, 0, 0, 0, SMALLEST, 100 * SMALLEST]]]] },
    ));

  it('keep rows of zeros, and the largest number of a row to the last bit but rounding', () => {
    const { values, scales } = quantiseRows(Float32Array.of(0, 0, 0, -3, 1, 2), 2);
    expect([...values.subarray(0, 3)]).toEqual([0, 0, 0]);
    expect([scales[0], values[3]]).toEqual([0, -127]);
    expect((values[3] ?? 0) * (scales[1] ?? 0)).toBeCloseTo(-3, 6);
  });

  it.each(EXECUTORS)('are multiplied by their scales by %s', async (_name, create) => {
    const program = await (
      await create()
    ).load({
      y: ops.dequantise(ops.input('q', [2, 3], 'weight', 'int8'), ops.input('s', [2], 'weight')),
    });
    const found = await program.run({
      q: { data: Int8Array.of(1, -2, 3, 127, 0, -127), dims: [2, 3] },
      s: { data: Float32Array.of(0.5, 2), dims: [2] },
    });
    expect([...(found.get('y')?.data as Float32Array)]).toEqual([0.5, -1, 1.5, 254, 0, -254]);
    await program.release();
  });
});

const CONFIG: ModelConfig = {
  ...LLAMA_BLOCKS,
  ...{ architecture: 'LlamaForCausalLM', modelType: 'llama', vocabSize: 40, hiddenSize: 24, intermediateSize: 32 },
  ...{ layers: 2, attentionHeads: 6, keyValueHeads: 2, headDim: 4, maxPositionEmbeddings: 64, rmsNormEps: 1e-5 },
  ...{ ropeTheta: 1000, tieWordEmbeddings: true, eosTokenIds: [] },
};
const LORA = {
  r: 4,
  loraAlpha: 8,
  loraDropout: 0,
  targetModules: 'all-linear',
  useRslora: false,
  useDora: true,
} as const;
const BATCH = packRows(
  [9, 14].map((length, row) => ({
    tokens: Int32Array.from({ length }, (_, i) => new RandomStream(row, 'tokens').pair(i)[0] % CONFIG.vocabSize),
    trained: Uint8Array.from({ length }, (_, i) => (i > 1 ? 1 : 0)),
  })),
);

function weightsOf(kind: 'exact' | 'quantised' | 'rounded'): Weights {
  const weights = new Map<string, { data: Float32Array | Int8Array; dims: readonly number[] }>();
  for (const [name, dims] of modelWeights(CONFIG)) {
    const uniform = new RandomStream(5, name).uniform(dims.reduce((a, b) => a * b, 1));
    const exact = uniform.map((u) => (dims.length === 1 ? 0.8 + 0.4 * u : (u - 0.5) * 0.6));
    const { values, scales } = quantiseRows(exact, dims[0] ?? 1);
    const inner = dims[1] ?? 1;
    if (kind === 'exact' || !name.includes('_proj')) weights.set(name, { data: exact, dims });
    else if (kind === 'rounded')
      weights.set(name, { data: exact.map((_, i) => (values[i] ?? 0) * (scales[Math.floor(i / inner)] ?? 0)), dims });
    else {
      weights.set(name, { data: values, dims });
      weights.set(scalesOf(name), { data: scales, dims: [scales.length] });
    }
  }
  return weights;
}

async function stepOf(kind: 'exact' | 'quantised' | 'rounded', memoryMode: MemoryMode, useDora: boolean) {
  const weights = weightsOf(kind);
  const parameters = LoraAdapter.create(CONFIG, { ...LORA, useDora }, 9);
  const noise = new RandomStream(6, 'adapter').uniform(parameters.values.length);
  parameters.startFromWeights(weights);
  parameters.values.forEach((value, i) => (parameters.values[i] = value + ((noise[i] ?? 0) - 0.5) * 0.2));
  const executor = new OnnxExecutor({ threads: 1 });
  const engine = new TrainingEngine({ config: CONFIG, weights, parameters, memoryMode, executor });
  const gradients = new Float32Array(parameters.values.length);
  const loss = await engine.accumulate(BATCH, gradients);
  await engine.release();
  return { loss, gradients };
}

describe.each([
  ['layer-recompute', false],
  ['layer-recompute', true],
  ['whole-step', false],
] as const)('a step on weights of 8 bits, %s, with magnitudes: %s', (memoryMode, useDora) => {
  it('has the loss and the gradients of the weights that the integers stand for', async () => {
    const [few, rounded] = [
      await stepOf('quantised', memoryMode, useDora),
      await stepOf('rounded', memoryMode, useDora),
    ];
    expect(few.loss / rounded.loss).toBeCloseTo(1, 5);
    const largest = Math.max(...rounded.gradients.map(Math.abs));
    few.gradients.forEach((value, i) =>
      expect(Math.abs(value - (rounded.gradients[i] ?? 0)) / largest).toBeLessThan(1e-4),
    );
  });

  it('loses less than half a percent to rounding, and something', async () => {
    const [few, exact] = [await stepOf('quantised', memoryMode, useDora), await stepOf('exact', memoryMode, useDora)];
    const difference = Math.abs(few.loss / exact.loss - 1);
    expect(difference).toBeGreaterThan(0);
    expect(difference).toBeLessThan(5e-3);
  });
});
