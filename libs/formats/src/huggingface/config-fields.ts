import { z } from 'zod';
import { FormatError } from '../format-error.js';

const size = z
  .int()
  .positive()
  .max(2 ** 31);
const tokenId = z.int().nonnegative();
const positive = z.number().positive();
const LAYERS_MAX = 10_000;

/** Fields of `config.json` that change what is computed, in transformers' spelling, without the families' defaults. */
export const configFields = z.object({
  architectures: z.array(z.string()).nullish(),
  vocab_size: size,
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size.max(LAYERS_MAX),
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  max_position_embeddings: size,
  rms_norm_eps: positive.default(1e-6),
  tie_word_embeddings: z.boolean(),
  bos_token_id: tokenId.nullish(),
  eos_token_id: z.union([tokenId, z.array(tokenId).min(1)]).nullish(),
  pad_token_id: z.int().nullish(),
  hidden_act: z.string().default('silu'),
  hidden_activation: z.string().nullish(),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  rope_theta: positive.nullish(),
  rope_local_base_freq: positive.nullish(),
  rope_scaling: z.unknown().optional(),
  rope_parameters: z.unknown().optional(),
  sliding_window: size.nullish(),
  use_sliding_window: z.boolean().nullish(),
  max_window_layers: z.int().nonnegative().nullish(),
  sliding_window_pattern: size.nullish(),
  layer_types: z.array(z.string()).max(LAYERS_MAX).nullish(),
  query_pre_attn_scalar: positive.nullish(),
  attn_logit_softcapping: positive.nullish(),
  final_logit_softcapping: positive.nullish(),
  use_bidirectional_attention: z.unknown().optional(),
  quantization_config: z.unknown().optional(),
});

export type ConfigFields = z.output<typeof configFields>;

/** A setting that would be computed wrongly; `why` ends with what to do. */
export function unsupported(field: string, why: string): FormatError {
  return new FormatError('format.unsupported', `config.json: ${field} ${why}`, { field });
}

/** @throws FormatError `format.malformed` that names the first wrong field. */
export function parseFields<T extends z.ZodType>(schema: T, value: unknown, within = ''): z.output<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = [...(within ? [within] : []), ...(issue?.path ?? [])].join('.');
  throw new FormatError('format.malformed', `config.json: ${field}: ${issue?.message ?? 'not valid'}`, { field });
}
