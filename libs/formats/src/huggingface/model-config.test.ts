import { describe, expect, it } from '@jest/globals';
import { formatModelConfig, parseModelConfig } from './model-config.js';

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

describe('model configuration', () => {
  it('reads what it writes', () => {
    const config = parseModelConfig(smol);
    expect(config).toMatchObject({ headDim: 64, keyValueHeads: 3, eosTokenIds: [2], ropeTheta: 100000 });
    expect(parseModelConfig(formatModelConfig(config))).toEqual(config);
  });

  it('takes rope_theta from rope_parameters where newer versions write it', () => {
    const { rope_theta: _, ...rest } = smol;
    expect(parseModelConfig({ ...rest, rope_parameters: { rope_type: 'default', rope_theta: 5 } }).ropeTheta).toBe(5);
  });

  it.each([
    ['position scaling', { rope_scaling: { rope_type: 'llama3', factor: 8 } }, 'rope_scaling'],
    ['position scaling in its newer place', { rope_parameters: { rope_type: 'yarn' } }, 'rope_parameters'],
    ['another family', { model_type: 'mamba' }, 'model_type'],
    ['another architecture', { architectures: ['LlamaForSequenceClassification'] }, 'architectures'],
    ['another activation', { hidden_act: 'gelu' }, 'hidden_act'],
    ['attention bias', { attention_bias: true }, 'attention_bias'],
    ['quantised weights', { quantization_config: { quant_method: 'awq' } }, 'quantization_config'],
    ['heads that do not divide', { num_key_value_heads: 2 }, 'num_key_value_heads'],
    ['a huge number of layers', { num_hidden_layers: 1e9 }, 'num_hidden_layers'],
    ['a fractional size', { hidden_size: 1.5 }, 'hidden_size'],
  ])('refuses %s and names the field', (_what, change, field) => {
    expect(() => parseModelConfig({ ...smol, ...change })).toThrow(
      expect.objectContaining({ name: 'FormatError', details: { field } }),
    );
  });
});
