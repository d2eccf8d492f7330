import { describe, expect, it } from '@jest/globals';
import { estimateNodeMemory } from './node-memory.js';

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
});
