import type { ModelConfig } from '../huggingface/model-config.js';
import { modelTensors } from '../huggingface/model-tensors.js';
import { ggufArchitecture } from './architectures.js';

/** GGUF's name of each part of a block, by its Hugging Face name. */
const BLOCK_PARTS: Readonly<Record<string, string>> = {
  input_layernorm: 'attn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};
/** The norm before the MLP is called after what stands before it, where there is none between. */
const PLAIN_NORMS: Readonly<Record<string, string>> = { post_attention_layernorm: 'ffn_norm' };
const SANDWICH_NORMS: Readonly<Record<string, string>> = {
  post_attention_layernorm: 'post_attention_norm',
  pre_feedforward_layernorm: 'ffn_norm',
  post_feedforward_layernorm: 'post_ffw_norm',
};
const OUTSIDE: Readonly<Record<string, string>> = {
  'model.embed_tokens': 'token_embd',
  'model.norm': 'output_norm',
  lm_head: 'output',
};

export interface TensorName {
  readonly huggingFace: string;
  readonly gguf: string;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
  /** Rows are stored as (head, half, i) by Hugging Face and as (head, i, half) in GGUF. */
  readonly permuted: boolean;
  /** What GGUF has added to the stored values. */
  readonly offset: 0 | 1;
}

const TENSOR = /^(?:model\.layers\.(?<layer>\d+)\.)?(?<part>.+)\.(?<kind>weight|bias)$/;

/** Every tensor of a model, in the order of its configuration. Throws FormatError where GGUF has no such architecture. */
export function tensorNames(config: ModelConfig): TensorName[] {
  const { permuted } = ggufArchitecture(config);
  const blockNorms = config.sandwichNorms ? SANDWICH_NORMS : PLAIN_NORMS;
  return [...modelTensors(config)].map(([huggingFace, shape]) => {
    const { layer, part = '', kind } = TENSOR.exec(huggingFace)?.groups ?? {};
    const name = layer === undefined ? OUTSIDE[part] : (BLOCK_PARTS[part] ?? blockNorms[part]);
    if (name === undefined) throw new Error(`"${huggingFace}" has no name in GGUF`);
    return {
      huggingFace,
      gguf: `${layer === undefined ? '' : `blk.${layer}.`}${name}.${kind}`,
      shape,
      permuted: permuted && (name === 'attn_q' || name === 'attn_k'),
      offset: name.endsWith('norm') ? config.normWeightOffset : 0,
    };
  });
}

/** GGUF's name of a linear layer of a block, such as `attn_q` for `self_attn.q_proj`. */
export const ggufModule = (module: string): string | undefined => BLOCK_PARTS[module];
