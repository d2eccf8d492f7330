import { describe, expect, it } from '@jest/globals';
import type { ModelShape, Tuning } from '@luthier/contracts';
import { trainableParameters, wholeMatrices } from './memory.js';
import { estimateNodeMemory, nodeTuning } from './node-memory.js';

/** SmolLM2-135M, rank 16 on all linear layers; micro-batches as in the measurements. */
const smol = {
  layers: 30,
  hiddenSize: 576,
  intermediateSize: 1536,
  heads: 9,
  keyValueHeads: 3,
  headDim: 64,
  vocabularySize: 49152,
  tiedEmbeddings: true,
  trainedParameters: 4_884_480,
};

describe('memory of the TypeScript runtime', () => {
  it.each([
    ['whole-step', 250, 125, 1306],
    ['whole-step', 484, 240, 1820],
    ['layer-recompute', 250, 125, 860],
  ] as const)('is within 25 %% of the measured peak: %s, %d tokens', (memoryMode, tokens, trained, measuredMib) => {
    const { totalMib } = estimateNodeMemory({
      ...smol,
      memoryMode,
      microBatchTokens: tokens,
      microBatchTrained: trained,
    });
    expect(totalMib).toBeGreaterThan(measuredMib * 0.75);
    expect(totalMib).toBeLessThan(measuredMib * 1.25);
  });

  it('counts the best values beside the last ones where training may end early, for whatever is trained', () => {
    const lora = { r: 16, loraAlpha: 32, loraDropout: 0, targetModules: 'all-linear' as const, useRslora: false };
    const trainedParameters = 64 * 1024 * 1024;
    for (const tuning of [{ type: 'lora', ...lora } as const, { type: 'full' } as const]) {
      const of = (hyperparameters: { earlyStoppingPatience?: number }): number =>
        estimateNodeMemory({
          ...{ ...smol, trainedParameters, ...nodeTuning({ tuning, hyperparameters }) },
          ...{ memoryMode: 'whole-step', microBatchTokens: 250, microBatchTrained: 125 },
        }).totalMib;
      expect(of({ earlyStoppingPatience: 2 }) - of({})).toBe(256);
    }
  });

  it('counts what AdamW keeps in 8 bits as a quarter and its scales where weights are trained, and whole for an adapter', () => {
    const lora = { r: 16, loraAlpha: 32, loraDropout: 0, targetModules: 'all-linear' as const, useRslora: false };
    const trainedParameters = 64 * 1024 * 1024;
    const saved = (tuning: Parameters<typeof nodeTuning>[0]['tuning']): number => {
      const [whole, few] = (['adamw', 'adamw8bit'] as const).map((optimizer) =>
        estimateNodeMemory({
          ...{ ...smol, trainedParameters, ...nodeTuning({ tuning, hyperparameters: { optimizer } }) },
          ...{ memoryMode: 'layer-recompute', microBatchTokens: 250, microBatchTrained: 125 },
        }),
      );
      return (whole?.totalMib ?? 0) - (few?.totalMib ?? 0);
    };
    expect(saved({ type: 'full' })).toBe(512 - 128 - 2);
    expect(saved({ type: 'freeze', trainableLayers: 4 })).toBe(512 - 128 - 2);
    expect(saved({ type: 'lora', ...lora })).toBe(0);
  });

  it('counts activations of the layers that are trained, biases or not', () => {
    const of = (trains: 'layers' | 'outer', trainedParameters: number): number =>
      estimateNodeMemory({
        ...{ ...smol, trains, trainedParameters, optimiserCopies: 0 },
        ...{ memoryMode: 'whole-step', microBatchTokens: 250, microBatchTrained: 125 },
      }).components.find(({ name }) => name === 'activations')?.mib ?? 0;
    const [layer, biases] = [576 * (24 * 64 + 3 * 1536 + 2), 15 * 64];
    const one = (of('outer', 30 * layer) - of('layers', 4 * layer)) / 26;
    expect(of('layers', 4 * layer)).toBeCloseTo((4 + 3) * one, 0);
    expect(of('layers', 4 * (layer + biases))).toBe(of('layers', 4 * layer));
  });

  it('counts embeddings and head that are trained whole beside an adapter, tied ones once', () => {
    const lora = { r: 16, loraAlpha: 32, loraDropout: 0, targetModules: 'all-linear' as const, useRslora: false };
    const shape: ModelShape = {
      ...{ ...smol, architecture: 'LlamaForCausalLM', kvHeads: 3, contextLength: 8192 },
      ...{ parameters: 134_515_008, weightBytes: 0 },
    };
    const plain = { type: 'lora', ...lora } as const;
    const both: Tuning = { ...plain, modulesToSave: ['embed_tokens', 'lm_head'] };
    const matrix = 49152 * 576;
    const added = (tiedEmbeddings: boolean, tuning: Tuning): number =>
      trainableParameters({ ...shape, tiedEmbeddings }, tuning) - trainableParameters(shape, plain);
    expect(added(true, both)).toBe(matrix);
    expect(added(false, both)).toBe(2 * matrix);
    expect(added(false, { ...plain, modulesToSave: ['lm_head'] })).toBe(matrix);
    const mibOf = (tuning: Tuning): number =>
      estimateNodeMemory({
        ...{ ...smol, microBatchTokens: 250, microBatchTrained: 125, memoryMode: 'layer-recompute' },
        trainedParameters: trainableParameters(shape, tuning),
        wholeMatrices: wholeMatrices(shape, tuning),
      }).totalMib;
    // Value, gradient, two moments, and the gradient of the micro-batch, which was a layer's.
    expect(mibOf(both) - mibOf(plain)).toBeGreaterThan((4 * 4 * matrix) / 2 ** 20);
    expect(mibOf(both) - mibOf(plain)).toBeLessThan((5 * 4 * matrix) / 2 ** 20 + 1);
  });

  // Blocks of one size with what the architecture adds, rank 16, two rows of 240 tokens, half of them trained.
  it.each([
    ['LlamaForCausalLM', 'whole-step', 867],
    ['Qwen3ForCausalLM', 'whole-step', 895],
    ['Gemma3ForCausalLM', 'whole-step', 909],
    ['Gemma2ForCausalLM', 'whole-step', 1120],
    ['LlamaForCausalLM', 'layer-recompute', 555],
    ['Gemma2ForCausalLM', 'layer-recompute', 574],
  ] as const)(
    'of %s is within 30 %% of the measured peak, and not below it: %s',
    (architecture, memoryMode, measured) => {
      const { totalMib } = estimateNodeMemory({
        ...{
          architecture,
          memoryMode,
          layers: 12,
          hiddenSize: 512,
          intermediateSize: 1536,
          heads: 8,
          keyValueHeads: 2,
        },
        ...{ headDim: 128, vocabularySize: 32_768, tiedEmbeddings: true, trainedParameters: 2_064_384 },
        ...{ microBatchTokens: 480, microBatchTrained: 240 },
      });
      expect(totalMib).toBeGreaterThan(measured);
      expect(totalMib).toBeLessThan(measured * 1.3);
    },
  );

  // 27 million weights, rank 16, micro-batches of 256 tokens, all trained; measured with TensorFlow.js in WebAssembly.
  it.each([
    ['adapter', 'whole-step', 1_769_472, 836],
    ['adapter', 'layer-recompute', 1_769_472, 569],
    ['outer', 'whole-step', 27_535_488, 1097],
    ['outer', 'layer-recompute', 27_535_488, 842],
    ['layers', 'whole-step', 7_080_960, 747],
  ] as const)(
    'is not below the measured peak on TensorFlow.js, and at most a fifth above it: %s, %s',
    (trains, memoryMode, trained, measured) => {
      const asked = {
        ...{ layers: 12, hiddenSize: 384, intermediateSize: 1024, heads: 6, keyValueHeads: 6, headDim: 64 },
        ...{ vocabularySize: 16_384, tiedEmbeddings: true, trainedParameters: trained, trains, memoryMode },
        ...{ microBatchTokens: 256, microBatchTrained: 256 },
      };
      const { totalMib } = estimateNodeMemory({ ...asked, engine: 'tensorflow' });
      expect(totalMib).toBeGreaterThan(measured);
      expect(totalMib).toBeLessThan(measured * 1.2);
    },
  );

  it('counts linear layers of 8 bits as a quarter, and those of one layer unpacked beside them', () => {
    const asked = { ...smol, microBatchTokens: 256, microBatchTrained: 128, memoryMode: 'layer-recompute' } as const;
    const weightsOf = (weightBits: 8 | 32): number =>
      estimateNodeMemory({ ...asked, weightBits }).components.find(({ name }) => name === 'weights')?.mib ?? 0;
    const layer = (weightsOf(32) - (49152 * 576 * 4) / 2 ** 20) / 30;
    expect(weightsOf(32) - weightsOf(8)).toBeCloseTo(30 * layer * 0.75 - layer, 0);
  });
});
