import type { ModelConfig } from '../huggingface/model-config.js';

/** GGUF tensor of each part of a Llama block, by its Hugging Face name. */
const BLOCK_TENSORS: readonly (readonly [huggingFace: string, gguf: string])[] = [
  ['input_layernorm', 'attn_norm'],
  ['self_attn.q_proj', 'attn_q'],
  ['self_attn.k_proj', 'attn_k'],
  ['self_attn.v_proj', 'attn_v'],
  ['self_attn.o_proj', 'attn_output'],
  ['post_attention_layernorm', 'ffn_norm'],
  ['mlp.gate_proj', 'ffn_gate'],
  ['mlp.up_proj', 'ffn_up'],
  ['mlp.down_proj', 'ffn_down'],
];

export interface LlamaTensorName {
  readonly huggingFace: string;
  readonly gguf: string;
  /** Rows are stored as (head, half, i) by Hugging Face and as (head, i, half) in GGUF. */
  readonly permuted: 'query' | 'key' | undefined;
}

/** Every tensor of a Llama model, in file order. */
export function llamaTensorNames(layers: number, tiedEmbeddings: boolean): LlamaTensorName[] {
  const names: LlamaTensorName[] = [
    { huggingFace: 'model.embed_tokens.weight', gguf: 'token_embd.weight', permuted: undefined },
  ];
  for (let layer = 0; layer < layers; layer += 1) {
    for (const [huggingFace, gguf] of BLOCK_TENSORS) {
      const permuted = gguf === 'attn_q' ? 'query' : gguf === 'attn_k' ? 'key' : undefined;
      names.push({
        huggingFace: `model.layers.${layer}.${huggingFace}.weight`,
        gguf: `blk.${layer}.${gguf}.weight`,
        permuted,
      });
    }
  }
  names.push({ huggingFace: 'model.norm.weight', gguf: 'output_norm.weight', permuted: undefined });
  if (!tiedEmbeddings) names.push({ huggingFace: 'lm_head.weight', gguf: 'output.weight', permuted: undefined });
  return names;
}

/** Shape of a tensor by its Hugging Face name (or a part of it, such as `q_proj`), outermost dimension first. */
export function llamaTensorShape(name: string, config: ModelConfig): number[] {
  const { hiddenSize, intermediateSize, attentionHeads, keyValueHeads, headDim, vocabSize } = config;
  if (name.includes('norm')) return [hiddenSize];
  if (name.includes('embed_tokens') || name.startsWith('lm_head')) return [vocabSize, hiddenSize];
  if (name.includes('q_proj')) return [attentionHeads * headDim, hiddenSize];
  if (name.includes('o_proj')) return [hiddenSize, attentionHeads * headDim];
  if (name.includes('k_proj') || name.includes('v_proj')) return [keyValueHeads * headDim, hiddenSize];
  return name.includes('down_proj') ? [hiddenSize, intermediateSize] : [intermediateSize, hiddenSize];
}

/** Rows from Hugging Face order (head, half, i) to GGUF order (head, i, half). `rows` holds whole heads. */
export function permuteRows(rows: Float32Array, headDim: number, columns: number): Float32Array {
  return moveRows(rows, headDim, columns, (half, i) => [half * (headDim / 2) + i, i * 2 + half]);
}

/** The reverse of permuteRows. */
export function unpermuteRows(rows: Float32Array, headDim: number, columns: number): Float32Array {
  return moveRows(rows, headDim, columns, (half, i) => [i * 2 + half, half * (headDim / 2) + i]);
}

function moveRows(
  rows: Float32Array,
  headDim: number,
  columns: number,
  map: (half: number, i: number) => [from: number, to: number],
): Float32Array {
  const result = new Float32Array(rows.length);
  const heads = rows.length / (headDim * columns);
  for (let head = 0; head < heads; head += 1) {
    for (let half = 0; half < 2; half += 1) {
      for (let i = 0; i < headDim / 2; i += 1) {
        const [from, to] = map(half, i);
        const source = (head * headDim + from) * columns;
        result.set(rows.subarray(source, source + columns), (head * headDim + to) * columns);
      }
    }
  }
  return result;
}
