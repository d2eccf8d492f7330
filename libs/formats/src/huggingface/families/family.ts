import type { BlockSwitches } from '../block-switches.js';
import type { ConfigFields } from '../config-fields.js';
import type { ModelConfig } from '../model-config.js';

/** Settings that only some families have; where one has it not, setting it is refused. */
export const OPTIONAL_SETTINGS = [
  'attention_bias',
  'mlp_bias',
  'sliding_window',
  'use_sliding_window',
  'layer_types',
  'sliding_window_pattern',
  'query_pre_attn_scalar',
  'attn_logit_softcapping',
  'final_logit_softcapping',
  'rope_local_base_freq',
] as const satisfies readonly (keyof ConfigFields)[];
type OptionalSetting = (typeof OPTIONAL_SETTINGS)[number];

/** What distinguishes a family: numbers and switches over blocks that all share. */
export interface ModelFamily {
  /** As in `config.json`. */
  readonly modelType: string;
  readonly architecture: string;
  /** Values of fields that `config.json` leaves out, as transformers fills them in. */
  readonly defaults: Readonly<Partial<ConfigFields>>;
  readonly settings: readonly OptionalSetting[];
  /** Which field names the activation of the MLP. */
  readonly activationField: 'hidden_act' | 'hidden_activation';
  /** Switches of the blocks that are not Llama's. */
  readonly blocks: (fields: ConfigFields) => Partial<BlockSwitches> & { readonly ropeTheta: number };
  /** The fields that go with `settings`, for `config.json`. */
  readonly format: (config: ModelConfig) => Record<string, unknown>;
}
