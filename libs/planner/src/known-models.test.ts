import { describe, expect, it } from '@jest/globals';
import { KNOWN_MODELS } from './known-models.js';

describe('models to plan with', () => {
  it.each([
    ['SmolLM2 135M', 134_515_008],
    ['Qwen2.5 0.5B', 494_032_768],
    ['Qwen3 0.6B', 596_049_920],
    ['TinyLlama 1.1B', 1_100_048_384],
    ['Llama 3.2 1B', 1_235_814_400],
  ])('%s has the parameters that its publisher names, within one in a thousand', (title, parameters) => {
    const found = KNOWN_MODELS.find((model) => model.title === title);
    expect((found?.shape.parameters ?? 0) / parameters).toBeCloseTo(1, 3);
  });

  it('come by size', () => {
    const sizes = KNOWN_MODELS.map(({ shape }) => shape.parameters);
    expect(sizes).toEqual(sizes.toSorted((a, b) => a - b));
  });
});
