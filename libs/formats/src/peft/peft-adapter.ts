import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { FormatError } from '../format-error.js';
import { readJsonFile } from '../huggingface/model-config.js';
import { openSafetensors } from '../safetensors/read-safetensors.js';
import type { SafetensorsFile } from '../safetensors/read-safetensors.js';
import { writeSafetensors } from '../safetensors/write-safetensors.js';
import type { TensorToWrite } from '../safetensors/write-safetensors.js';
import { magnitudeNameOf, parseLoraTensorName } from './lora-names.js';
import type { LoraModule } from './lora-names.js';
import { parseSavedModuleTensor, savedModulesOf, storedModules } from './saved-modules.js';
import type { SavedModulesForm } from './saved-modules.js';
import { namedModules } from './target-modules.js';

export const ADAPTER_CONFIG_FILE = 'adapter_config.json';
export const ADAPTER_WEIGHTS_FILE = 'adapter_model.safetensors';
const CONFIG_BYTES_MAX = 1_000_000;

export interface LoraConfig extends SavedModulesForm {
  readonly rank: number;
  readonly alpha: number;
  readonly dropout: number;
  readonly targetModules: readonly LoraModule[];
  readonly useRslora: boolean;
  /** Magnitudes of the outputs beside A and B. @default false */
  readonly useDora?: boolean;
  readonly baseModelNameOrPath: string | null;
}

/** Factor by which `B·A·x` enters the sum: alpha/r, or alpha/sqrt(r) for rsLoRA. */
export function loraScale({ alpha, rank, useRslora }: Pick<LoraConfig, 'alpha' | 'rank' | 'useRslora'>): number {
  return useRslora ? alpha / Math.sqrt(rank) : alpha / rank;
}

const absent = z
  .union([z.null(), z.literal(false), z.array(z.never()).length(0), z.record(z.string(), z.never())])
  .optional();

/**
 * Beginnings that leave the base as it is. PEFT repeats the others (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA) when it loads
 * the adapter: they take their part out of the base's weights, so beside the plain base it gives something else.
 */
const beginsBesideTheBase = z
  .union([z.boolean(), z.enum(['gaussian', 'eva', 'orthogonal', 'mica'])], {
    error:
      'it changes the weights of the base; save the adapter again with path_initial_model_for_weight_conversion of PEFT',
  })
  .default(true);

const adapterConfigSchema = z.object({
  peft_type: z.literal('LORA'),
  task_type: z.literal('CAUSAL_LM').nullish(),
  r: z.int().positive().max(65_536),
  lora_alpha: z.number().positive(),
  lora_dropout: z.number().min(0).lt(1).default(0),
  target_modules: z.union([z.array(z.string()).min(1), z.literal('all-linear')]),
  bias: z.literal('none').default('none'),
  use_rslora: z.boolean().default(false),
  base_model_name_or_path: z.string().nullish(),
  init_lora_weights: beginsBesideTheBase,
  fan_in_fan_out: absent,
  use_dora: z.boolean().default(false),
  modules_to_save: z.union([z.array(z.string()), absent]).nullish(),
  ensure_weight_tying: z.boolean().nullish(),
  rank_pattern: absent,
  alpha_pattern: absent,
  layers_to_transform: absent,
  layer_replication: absent,
  trainable_token_indices: absent,
  // Ways to compute that the names of the tensors do not tell.
  alora_invocation_tokens: absent,
  arrow_config: absent,
  kasa_config: absent,
  monteclora_config: absent,
  use_bdlora: absent,
  use_qalora: absent,
});

/** A sequence classifier: nothing that answers can be made of it, no GGUF either. */
const givesPoints = z.object({ task_type: z.literal('SEQ_CLS') });

export interface PeftReading {
  /**
   * Whether the caller makes something of what is more than A and B: DoRA's magnitudes, modules that were trained whole;
   * else such an adapter is refused. @default false
   */
  readonly beyondLora?: boolean;
}

/** Checks a parsed `adapter_config.json`. Refuses what would change the result and is not understood. */
export function parseAdapterConfig(value: unknown, { beyondLora = false }: PeftReading = {}): LoraConfig {
  if (givesPoints.safeParse(value).success) {
    const message = `${ADAPTER_CONFIG_FILE}: the adapter makes a reward model, which gives points and no answers.`;
    throw new FormatError('format.unsupported', message, { field: 'task_type' });
  }
  const parsed = adapterConfigSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const field = issue?.path.join('.') ?? '';
    throw new FormatError(
      'format.unsupported',
      `${ADAPTER_CONFIG_FILE}: ${field} is not supported: ${issue?.message ?? ''}`,
      { field },
    );
  }
  const config = parsed.data;
  const modulesToSave = savedModulesOf(Array.isArray(config.modules_to_save) ? config.modules_to_save : []);
  const beyond = config.use_dora ? 'use_dora' : modulesToSave.length > 0 ? 'modules_to_save' : undefined;
  if (beyond && !beyondLora) {
    const message = `${ADAPTER_CONFIG_FILE}: ${beyond} is not supported here: such an adapter has to be merged into its base.`;
    throw new FormatError('format.unsupported', message, { field: beyond });
  }
  return {
    rank: config.r,
    alpha: config.lora_alpha,
    dropout: config.lora_dropout,
    targetModules: namedModules(config.target_modules),
    useRslora: config.use_rslora,
    ...(config.use_dora && { useDora: true }),
    ...(modulesToSave.length > 0 && { modulesToSave, ensureWeightTying: config.ensure_weight_tying ?? false }),
    baseModelNameOrPath: config.base_model_name_or_path ?? null,
  };
}

/** The content of `adapter_config.json`, as PEFT reads it. */
export function formatAdapterConfig(config: LoraConfig): Record<string, unknown> {
  const { modulesToSave = [], ensureWeightTying = false } = config;
  return {
    alpha_pattern: {},
    base_model_name_or_path: config.baseModelNameOrPath,
    bias: 'none',
    // Left out where it says nothing: earlier versions of PEFT do not know it.
    ...(ensureWeightTying && { ensure_weight_tying: true }),
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layers_to_transform: null,
    lora_alpha: config.alpha,
    lora_dropout: config.dropout,
    modules_to_save: modulesToSave.length > 0 ? [...modulesToSave] : null,
    peft_type: 'LORA',
    r: config.rank,
    rank_pattern: {},
    target_modules: [...config.targetModules],
    task_type: 'CAUSAL_LM',
    use_dora: config.useDora ?? false,
    use_rslora: config.useRslora,
  };
}

export interface PeftAdapter {
  readonly config: LoraConfig;
  readonly weights: SafetensorsFile;
}

/** Whether a tensor of that name lies beside the A and B of an adapter with these settings. */
const liesBeside = ({ useDora = false, modulesToSave = [] }: LoraConfig, name: string): boolean =>
  (useDora && name.endsWith('.lora_magnitude_vector')) ||
  modulesToSave.some((one) => one === parseSavedModuleTensor(name));

/** Every module must come with A [r, in] and B [out, r]; anything else in the file would be ignored silently, so it is refused. */
function checkWeights(config: LoraConfig, weights: SafetensorsFile): void {
  for (const { name, shape } of weights.tensors.values()) {
    if (liesBeside(config, name)) continue; // magnitudes are asked for beside their A
    const parsed = parseLoraTensorName(name);
    if (!parsed)
      throw new FormatError(
        'format.unsupported',
        `The adapter holds "${name.slice(0, 200)}", which is not a LoRA tensor.`,
        { tensor: name },
      );
    if (!config.targetModules.includes(parsed.module)) {
      throw new FormatError('format.malformed', `"${name}" belongs to no target module of the configuration.`, {
        tensor: name,
      });
    }
    const rank = parsed.part === 'A' ? shape[0] : shape[1];
    if (shape.length !== 2 || rank !== config.rank)
      throw new FormatError('format.malformed', `"${name}" does not have rank ${config.rank}.`, { tensor: name });
    const other = name.replace(/lora_[AB]\.weight$/, `lora_${parsed.part === 'A' ? 'B' : 'A'}.weight`);
    weights.get(other);
    if (config.useDora && parsed.part === 'A') weights.get(magnitudeNameOf(name));
  }
  if (weights.tensors.size === 0) throw new FormatError('format.malformed', 'The adapter has no tensors.');
}

/** Opens a PEFT adapter folder: configuration and weights' header, both checked against each other. */
export async function openPeftAdapter(dir: string, reading: PeftReading = {}): Promise<PeftAdapter> {
  const settings = parseAdapterConfig(await readJsonFile(join(dir, ADAPTER_CONFIG_FILE), CONFIG_BYTES_MAX), reading);
  const weights = await openSafetensors(join(dir, ADAPTER_WEIGHTS_FILE));
  const modulesToSave = storedModules(settings, weights.tensors.keys());
  const config = modulesToSave.length > 0 ? { ...settings, modulesToSave } : settings;
  checkWeights(config, weights);
  return { config, weights };
}

/** Writes a PEFT adapter folder; tensor names are those of loraTensorName and savedModuleTensor. */
export async function writePeftAdapter(
  dir: string,
  config: LoraConfig,
  tensors: readonly TensorToWrite[],
  options: { fsync?: boolean } = {},
): Promise<void> {
  for (const { name } of tensors) {
    if (!parseLoraTensorName(name) && !liesBeside(config, name))
      throw new FormatError('format.invalid-input', `"${name}" is not the name of a tensor of this adapter.`);
  }
  await mkdir(dir, { recursive: true });
  await writeSafetensors(join(dir, ADAPTER_WEIGHTS_FILE), tensors, { format: 'pt' }, options);
  const path = join(dir, ADAPTER_CONFIG_FILE);
  await writeFile(`${path}.tmp`, `${JSON.stringify(formatAdapterConfig(config), null, 2)}\n`, {
    flush: options.fsync ?? false,
  });
  await rename(`${path}.tmp`, path);
}
