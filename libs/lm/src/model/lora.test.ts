import { describe, expect, it } from '@jest/globals';
import { LLAMA_BLOCKS } from '@luthier/formats';
import type { ModelConfig } from '@luthier/formats';
import { LoraAdapter } from './lora.js';
import type { LoraSettings } from './lora.js';
import { modelWeights } from './model-weights.js';

const TIED: ModelConfig = {
  ...{ ...LLAMA_BLOCKS, architecture: 'LlamaForCausalLM', modelType: 'llama', vocabSize: 5, hiddenSize: 4 },
  ...{ intermediateSize: 8, layers: 1, attentionHeads: 2, keyValueHeads: 1, headDim: 2, maxPositionEmbeddings: 8 },
  ...{ rmsNormEps: 1e-5, ropeTheta: 1000, tieWordEmbeddings: true, eosTokenIds: [] },
};
const BOTH: LoraSettings = {
  ...{ r: 1, loraAlpha: 1, loraDropout: 0, targetModules: ['q_proj'], useRslora: false },
  ...{ modulesToSave: ['embed_tokens', 'lm_head'], ensureWeightTying: true },
};
const EMBEDDINGS = 'base_model.model.model.embed_tokens.weight';
const HEAD = 'base_model.model.lm_head.weight';

const weights = new Map(
  [...modelWeights(TIED)].map(([name, dims]) => {
    const data = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => i / 8);
    return [name, { data, dims }] as const;
  }),
);
const stored = (adapter: LoraAdapter) => new Map(adapter.stored().map((tensor) => [tensor.name, { ...tensor }]));

describe('an adapter with embeddings and head that are trained whole', () => {
  it('begins with those of the model, one matrix where they are tied, and stores it under either name', () => {
    const adapter = LoraAdapter.create(TIED, BOTH, 1);
    adapter.startFromWeights(weights);
    expect(adapter.tensors.filter(({ name }) => !name.includes('lora_')).map(({ name }) => name)).toEqual([EMBEDDINGS]);
    const found = stored(adapter);
    expect(found.get(EMBEDDINGS)?.data).toEqual(weights.get('model.embed_tokens.weight')?.data);
    expect(found.get(HEAD)?.data).toEqual(found.get(EMBEDDINGS)?.data);
  });

  it('is restored as it was stored, and refused where one matrix is said to be both and is not', () => {
    const adapter = LoraAdapter.create(TIED, BOTH, 1);
    adapter.startFromWeights(weights);
    const tensors = stored(adapter);
    expect(LoraAdapter.restore(TIED, BOTH, tensors).values).toEqual(adapter.values);
    const other = new Map(tensors).set(HEAD, { name: HEAD, shape: [5, 4], data: new Float32Array(20) });
    expect(() => LoraAdapter.restore(TIED, BOTH, other)).toThrow(/lm_head.*ensure_weight_tying/);
    expect(LoraAdapter.restore(TIED, { ...BOTH, ensureWeightTying: false }, other).config.tieWordEmbeddings).toBe(
      false,
    );
  });

  it('is refused with tensors that it has no place for, or of a vocabulary that was resized', () => {
    const adapter = LoraAdapter.create(TIED, BOTH, 1);
    const tensors = stored(adapter);
    expect(() => LoraAdapter.restore(TIED, { ...BOTH, modulesToSave: [] }, tensors)).toThrow(/embed_tokens.*not known/);
    tensors.set(EMBEDDINGS, { name: EMBEDDINGS, shape: [6, 4], data: new Float32Array(24) });
    expect(() => LoraAdapter.restore(TIED, BOTH, tensors)).toThrow(/embed_tokens.weight" is \[6, 4\].*with PEFT/);
  });
});
