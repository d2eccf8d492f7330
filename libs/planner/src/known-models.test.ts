import { describe, expect, it } from '@jest/globals';
import { KNOWN_MODELS } from './known-models.js';

describe('models to plan with', () => {
  it.each([
    ['SmolLM2 135M', 134_515_008],
    ['Qwen2.5 0.5B', 494_032_768],
    ['Qwen3 0.6B', 596_049_920],
    ['Gemma 3 270M', 268_098_176],
    ['Qwen2.5 1.5B', 1_543_714_304],
    ['TinyLlama 1.1B', 1_100_048_384],
    ['Llama 3.2 1B', 1_235_814_400],
  ])('%s has the parameters that its publisher names', (title, parameters) => {
    const found = KNOWN_MODELS.find((model) => model.title === title);
    expect(found?.shape.parameters).toBe(parameters);
  });

  it('come by size', () => {
    const sizes = KNOWN_MODELS.map(({ shape }) => shape.parameters);
    expect(sizes).toEqual(sizes.toSorted((a, b) => a - b));
  });
});
