import { describe, expect, it } from '@jest/globals';
import { configText } from './config-text.js';
import { MODEL_ARCHITECTURES } from './families/families.js';
import { formatModelConfig, parseModelConfig } from './model-config.js';
import { modelTensors } from './model-tensors.js';

const smol = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  vocab_size: 49152,
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 30,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-5,
  rope_theta: 100000,
  rope_scaling: null,
  tie_word_embeddings: true,
  bos_token_id: 1,
  eos_token_id: 2,
  pad_token_id: 2,
};

const sizes = {
  vocab_size: 1000,
  hidden_size: 64,
  intermediate_size: 128,
  num_hidden_layers: 8,
  num_attention_heads: 4,
  num_key_value_heads: 2,
};
const llama3 = {
  ...{ rope_type: 'llama3', factor: 32, low_freq_factor: 1, high_freq_factor: 4 },
  original_max_position_embeddings: 8192,
};

/** Published settings of each family, as their authors write them and as transformers 5 writes them. */
const families = {
  'Llama 3.2': { ...smol, rope_theta: 500_000, rope_scaling: llama3, eos_token_id: [128_001, 128_008] },
  'Llama with biases': { ...smol, attention_bias: true, mlp_bias: true },
  'Llama with linear scaling': { ...smol, rope_scaling: { type: 'linear', factor: 2 } },
  'Mistral 0.1': { ...sizes, model_type: 'mistral', sliding_window: 4096, rope_theta: 10_000 },
  'Mistral 0.3': { ...sizes, model_type: 'mistral', sliding_window: null, rope_theta: 1_000_000, head_dim: 32 },
  'Qwen 2.5': {
    ...{ ...sizes, model_type: 'qwen2', max_window_layers: 21, sliding_window: 32_768, use_sliding_window: false },
    ...{ bos_token_id: 151_643, eos_token_id: 151_645, tie_word_embeddings: true },
  },
  'Qwen 2 with windows': {
    ...{ ...sizes, model_type: 'qwen2', max_window_layers: 5, sliding_window: 16, use_sliding_window: true },
  },
  'Qwen 3': { ...sizes, model_type: 'qwen3', attention_bias: false, head_dim: 128, rope_theta: 1_000_000 },
  'Gemma 2': { ...sizes, model_type: 'gemma2', hidden_act: 'gelu_pytorch_tanh', query_pre_attn_scalar: 224 },
  'Gemma 3': {
    ...{ ...sizes, model_type: 'gemma3_text', sliding_window: 512, sliding_window_pattern: 6 },
    ...{ rope_theta: 1_000_000, rope_local_base_freq: 10_000, final_logit_softcapping: null },
  },
  'Gemma 3 as written by transformers 5': {
    ...{ ...sizes, model_type: 'gemma3_text', layer_types: Array.from({ length: 8 }, () => 'sliding_attention') },
    rope_parameters: {
      full_attention: { rope_type: 'linear', factor: 8, rope_theta: 1_000_000 },
      sliding_attention: { rope_type: 'default', rope_theta: 20_000 },
    },
  },
};

describe('model configuration', () => {
  it.each(Object.entries({ SmolLM2: smol, ...families }))('of %s is read as it was written', (_name, value) => {
    const config = parseModelConfig(value);
    expect(parseModelConfig(formatModelConfig(config))).toEqual(config);
    expect(MODEL_ARCHITECTURES).toContain(config.architecture);
  });

  it('is written with a point where transformers wants one', () => {
    const text = configText(formatModelConfig(parseModelConfig(families['Gemma 2'])));
    expect(text).toContain('"final_logit_softcapping": 30.0');
    expect(text).toContain('"query_pre_attn_scalar": 224,');
    expect(parseModelConfig(JSON.parse(text))).toEqual(parseModelConfig(families['Gemma 2']));
  });

  it('fills in what SmolLM2 leaves out', () => {
    expect(parseModelConfig(smol)).toMatchObject({
      ...{ headDim: 64, keyValueHeads: 3, eosTokenIds: [2], ropeTheta: 100000, activation: 'silu', slidingLayers: [] },
    });
  });

  it('takes rope_theta from rope_parameters where newer versions write it', () => {
    const { rope_theta: _, ...rest } = smol;
    expect(parseModelConfig({ ...rest, rope_parameters: { rope_type: 'default', rope_theta: 5 } }).ropeTheta).toBe(5);
  });

  it('takes the scaling of Llama 3 from either spelling', () => {
    const { rope_theta: _, rope_scaling: _old, ...rest } = families['Llama 3.2'];
    const newer = parseModelConfig({ ...rest, rope_parameters: { ...llama3, rope_theta: 500_000 } });
    expect(newer).toEqual(parseModelConfig(families['Llama 3.2']));
    expect(newer.ropeScaling).toEqual({
      ...{ type: 'llama3', factor: 32, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaxPositions: 8192 },
    });
  });

  it('knows which layers of each family slide', () => {
    const layersOf = (name: keyof typeof families): readonly number[] => parseModelConfig(families[name]).slidingLayers;
    expect(layersOf('Mistral 0.1')).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(layersOf('Mistral 0.3')).toEqual([]);
    expect(layersOf('Qwen 2.5')).toEqual([]);
    expect(layersOf('Qwen 2 with windows')).toEqual([5, 6, 7]);
    expect(layersOf('Gemma 2')).toEqual([0, 2, 4, 6]);
    expect(layersOf('Gemma 3')).toEqual([0, 1, 2, 3, 4, 6, 7]);
  });

  it('gives Gemma its caps, scalar, norms and second rotary base', () => {
    expect(parseModelConfig(families['Gemma 2'])).toMatchObject({
      ...{ attentionSoftCap: 50, logitSoftCap: 30, queryPreAttentionScalar: 224, slidingWindow: 4096, headDim: 256 },
      ...{ activation: 'gelu-tanh', sandwichNorms: true, normWeightOffset: 1, scaledEmbeddings: true },
      ...{ tieWordEmbeddings: true, queryKeyNorms: false },
    });
    const gemma3 = parseModelConfig(families['Gemma 3']);
    expect(gemma3).toMatchObject({ ropeTheta: 1_000_000, localRopeTheta: 10_000, queryKeyNorms: true });
    expect(gemma3).not.toHaveProperty('attentionSoftCap');
    expect(gemma3).not.toHaveProperty('logitSoftCap');
    expect(parseModelConfig(families['Gemma 3 as written by transformers 5'])).toMatchObject({
      ...{ ropeTheta: 1_000_000, ropeScaling: { type: 'linear', factor: 8 }, localRopeTheta: 20_000 },
    });
  });

  it('names the tensors that a family adds to those of Llama', () => {
    const added = (name: keyof typeof families): string[] => {
      const plain = new Set(modelTensors(parseModelConfig({ ...sizes, model_type: 'llama' })).keys());
      return [...modelTensors(parseModelConfig(families[name])).keys()].filter(
        (tensor) => tensor.startsWith('model.layers.7.') && !plain.has(tensor),
      );
    };
    expect(added('Mistral 0.3')).toEqual([]);
    expect(added('Qwen 2.5')).toEqual(['q', 'k', 'v'].map((part) => `model.layers.7.self_attn.${part}_proj.bias`));
    expect(added('Qwen 3')).toEqual(['q', 'k'].map((part) => `model.layers.7.self_attn.${part}_norm.weight`));
    expect(added('Gemma 2')).toEqual(
      ['pre', 'post'].map((part) => `model.layers.7.${part}_feedforward_layernorm.weight`),
    );
    expect(added('Gemma 3')).toHaveLength(4);
  });

  it.each([
    ['position scaling that is not known', { rope_scaling: { rope_type: 'yarn', factor: 8 } }, 'rope_scaling'],
    ['position scaling in its newer place', { rope_parameters: { rope_type: 'yarn' } }, 'rope_parameters'],
    ['incomplete scaling', { rope_scaling: { rope_type: 'llama3', factor: 8 } }, 'rope_scaling.low_freq_factor'],
    ['scaling without a range', { rope_scaling: { ...llama3, high_freq_factor: 1 } }, 'rope_scaling.high_freq_factor'],
    [
      'partly rotated heads',
      { rope_parameters: { partial_rotary_factor: 0.5 } },
      'rope_parameters.partial_rotary_factor',
    ],
    ['rotary settings by layer', { rope_parameters: { full_attention: {} } }, 'rope_parameters.full_attention'],
    ['another family', { model_type: 'mamba' }, 'model_type'],
    ['a family with a picture encoder', { model_type: 'gemma3' }, 'model_type'],
    ['another architecture', { architectures: ['LlamaForSequenceClassification'] }, 'architectures'],
    ['another activation', { hidden_act: 'gelu' }, 'hidden_act'],
    ['a window in a family without', { sliding_window: 16 }, 'sliding_window'],
    ['soft caps in a family without', { attn_logit_softcapping: 50 }, 'attn_logit_softcapping'],
    ['attention to later tokens', { use_bidirectional_attention: true }, 'use_bidirectional_attention'],
    ['quantised weights', { quantization_config: { quant_method: 'awq' } }, 'quantization_config'],
    ['heads that do not divide', { num_key_value_heads: 2 }, 'num_key_value_heads'],
    ['a huge number of layers', { num_hidden_layers: 1e9 }, 'num_hidden_layers'],
    ['a fractional size', { hidden_size: 1.5 }, 'hidden_size'],
  ])('refuses %s and names the field', (_what, change, field) => {
    expect(() => parseModelConfig({ ...smol, ...change })).toThrow(
      expect.objectContaining({ name: 'FormatError', details: { field } }),
    );
  });

  it.each([
    ['too few layer types', { layer_types: ['full_attention'] }, 'layer_types'],
    ['an unknown layer type', { layer_types: Array.from({ length: 8 }, () => 'chunked_attention') }, 'layer_types'],
    ['sliding layers without a window', { sliding_window: null }, 'layer_types'],
    ['a cap that transformers would not apply', { attn_logit_softcapping: 50 }, 'attn_logit_softcapping'],
    ['one set of rotary settings for two kinds', { rope_parameters: { rope_theta: 10_000 } }, 'rope_parameters'],
    [
      'scaled sliding layers',
      { rope_parameters: { sliding_attention: { rope_type: 'linear', factor: 2 } } },
      'rope_parameters.sliding_attention',
    ],
    ['another activation', { hidden_activation: 'relu' }, 'hidden_activation'],
  ])('refuses in Gemma 3 %s and names the field', (_what, change, field) => {
    expect(() => parseModelConfig({ ...families['Gemma 3'], ...change })).toThrow(
      expect.objectContaining({ name: 'FormatError', details: { field } }),
    );
  });
});
